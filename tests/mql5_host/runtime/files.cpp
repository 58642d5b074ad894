// Files in the terminal's two sandboxes. Writes stay in a buffer until FileFlush or FileClose, as in the terminal, so that a crash
// before the flush loses them; opening without a share flag locks, as on Windows.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cstdio>
#include <filesystem>
#include "bench.h"

namespace mql {

namespace {
int last_error = 0;

struct OpenFile {
  int descriptor = -1;
  std::string unwritten;
};
std::map<int, OpenFile> open_files;
int next_handle = 1;

bool write_out(OpenFile &file) {
  if (file.unwritten.empty()) return true;
  ssize_t done = ::write(file.descriptor, file.unwritten.data(), file.unwritten.size());
  bool complete = done == static_cast<ssize_t>(file.unwritten.size());
  file.unwritten.clear();
  return complete;
}

std::filesystem::path sandbox_path(const string &name, int flags) {
  std::string relative = to_utf8(name);
  for (char &c : relative)
    if (c == '\\') c = '/';
  if (relative.find("..") != std::string::npos || relative.front() == '/') critical_error("file outside the sandbox");
  return std::filesystem::path((flags & FILE_COMMON) ? bench::options.common_folder : bench::options.files_folder) / relative;
}
} // namespace

int GetLastError() { return last_error; }
void ResetLastError() { last_error = 0; }

int FileOpen(const string &name, int flags, short, uint) {
  auto path = sandbox_path(name, flags);
  bool writing = flags & FILE_WRITE;
  if (!(flags & FILE_BIN)) critical_error("the bench reads and writes FILE_BIN only");
  if (writing && bench::platform_faults.file_opens_fail) {
    last_error = 5004;
    return INVALID_HANDLE;
  }
  if (writing) std::filesystem::create_directories(path.parent_path()); // FileOpen makes missing folders
  int mode = writing ? ((flags & FILE_READ) ? O_RDWR | O_CREAT : O_WRONLY | O_CREAT | O_TRUNC) : O_RDONLY;
  int descriptor = ::open(path.c_str(), mode | O_CLOEXEC, 0600);
  if (descriptor < 0) {
    last_error = 5002;
    return INVALID_HANDLE;
  }
  bool shared = flags & (FILE_SHARE_READ | FILE_SHARE_WRITE);
  if (::flock(descriptor, (shared ? LOCK_SH : LOCK_EX) | LOCK_NB) != 0) {
    ::close(descriptor);
    last_error = 5004;
    return INVALID_HANDLE;
  }
  open_files[next_handle].descriptor = descriptor;
  return next_handle++;
}

void FileFlush(int handle) {
  auto file = open_files.find(handle);
  if (file == open_files.end()) critical_error("FileFlush on a file that is not open");
  write_out(file->second);
}

void FileClose(int handle) {
  auto file = open_files.find(handle);
  if (file == open_files.end()) critical_error("FileClose on a file that is not open");
  write_out(file->second);
  ::close(file->second.descriptor);
  open_files.erase(file);
}

bool FileIsExist(const string &name, int common) { return std::filesystem::is_regular_file(sandbox_path(name, common)); }
bool FileDelete(const string &name, int common) { return std::filesystem::remove(sandbox_path(name, common)); }

bool FileMove(const string &from, int common, const string &to, int mode) {
  auto target = sandbox_path(to, mode);
  if (bench::platform_faults.file_writes_fail) return false;
  if (!(mode & FILE_REWRITE) && std::filesystem::exists(target)) return false;
  std::error_code problem;
  std::filesystem::rename(sandbox_path(from, common), target, problem);
  return !problem;
}

bool FileSeek(int handle, long offset, ENUM_FILE_POSITION origin) {
  OpenFile &file = open_files.at(handle);
  write_out(file);
  int whence = origin == SEEK_SET ? 0 : origin == SEEK_CUR ? 1 : 2;
  return ::lseek(file.descriptor, offset, whence) >= 0;
}

ulong FileSize(int handle) {
  struct stat found = {};
  ::fstat(open_files.at(handle).descriptor, &found);
  return static_cast<ulong>(found.st_size);
}

uint FileReadArray(int handle, Array<uchar> &array, int start, int count) {
  OpenFile &file = open_files.at(handle);
  long position = ::lseek(file.descriptor, 0, 1);
  long left = static_cast<long>(FileSize(handle)) - position;
  long wanted = count < 0 || count > left ? left : count;
  if (wanted <= 0) return 0;
  if (ArraySize(array) < start + wanted) ArrayResize(array, static_cast<int>(start + wanted));
  ssize_t done = ::read(file.descriptor, array.data() + start, static_cast<size_t>(wanted));
  return done < 0 ? 0 : static_cast<uint>(done);
}

uint FileWriteArray(int handle, const Array<uchar> &array, int start, int count) {
  OpenFile &file = open_files.at(handle);
  if (bench::platform_faults.file_writes_fail) return 0;
  int available = ArraySize(array) - start;
  if (count < 0 || count > available) count = available;
  if (count <= 0) return 0;
  file.unwritten.append(reinterpret_cast<const char *>(array.data() + start), static_cast<size_t>(count));
  return static_cast<uint>(count);
}

} // namespace mql
