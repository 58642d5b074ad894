// MQL5's native client sockets, with their documented oddities: SocketIsReadable on an empty buffer may answer 1, SocketRead with
// time-out 0 waits for minutes, SocketSend blocks.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <set>
#include "bench.h"

namespace mql {

namespace {
struct NativeSocket {
  int descriptor = -1;
  bool asked_before = false;
};
std::map<int, NativeSocket> sockets;
int next_socket = 1;

bool wait_for(int descriptor, short events, int timeout_ms) {
  pollfd wanted = {descriptor, events, 0};
  return ::poll(&wanted, 1, timeout_ms) > 0;
}
} // namespace

int SocketCreate(uint) {
  if (sockets.size() >= 128) return INVALID_HANDLE;
  sockets[next_socket] = {};
  return next_socket++;
}

bool SocketClose(int socket) {
  auto found = sockets.find(socket);
  if (found == sockets.end()) return false;
  if (found->second.descriptor >= 0) ::close(found->second.descriptor);
  sockets.erase(found);
  return true;
}

bool SocketConnect(int socket, const string &server, uint port, uint timeout) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  if (inet_pton(AF_INET, to_utf8(server).c_str(), &address.sin_addr) != 1) return false;
  int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  int failure = 0;
  socklen_t length = sizeof failure;
  if (::connect(descriptor, reinterpret_cast<sockaddr *>(&address), sizeof address) != 0) {
    bool settled = wait_for(descriptor, POLLOUT, static_cast<int>(timeout));
    ::getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &failure, &length);
    if (!settled || failure != 0) {
      ::close(descriptor);
      return false;
    }
  }
  ::fcntl(descriptor, F_SETFL, ::fcntl(descriptor, F_GETFL) & ~O_NONBLOCK);
  int on = 1;
  ::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  sockets.at(socket).descriptor = descriptor;
  return true;
}

bool SocketIsConnected(int socket) {
  auto found = sockets.find(socket);
  if (found == sockets.end() || found->second.descriptor < 0) return false;
  char byte;
  ssize_t peeked = ::recv(found->second.descriptor, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return peeked > 0 || (peeked < 0 && (errno == EAGAIN || errno == EWOULDBLOCK));
}

uint SocketIsReadable(int socket) {
  auto found = sockets.find(socket);
  if (found == sockets.end() || found->second.descriptor < 0) return 0;
  int available = 0;
  ::ioctl(found->second.descriptor, FIONREAD, &available);
  bool first = !found->second.asked_before;
  found->second.asked_before = true;
  return available == 0 && first ? 1u : static_cast<uint>(available);
}

int SocketRead(int socket, Array<uchar> &buffer, uint length, uint timeout) {
  auto found = sockets.find(socket);
  if (found == sockets.end() || found->second.descriptor < 0) return -1;
  int descriptor = found->second.descriptor;
  if (!wait_for(descriptor, POLLIN, timeout == 0 ? 120000 : static_cast<int>(timeout))) return -1;
  std::vector<uchar> bytes(length);
  ssize_t done = ::recv(descriptor, bytes.data(), length, 0);
  if (done <= 0) return -1;
  if (ArraySize(buffer) < done) ArrayResize(buffer, static_cast<int>(done));
  for (ssize_t i = 0; i < done; i++) buffer[i] = bytes[static_cast<size_t>(i)];
  return static_cast<int>(done);
}

int SocketSend(int socket, const Array<uchar> &buffer, uint length) {
  auto found = sockets.find(socket);
  if (found == sockets.end() || found->second.descriptor < 0) return -1;
  if (length > static_cast<uint>(ArraySize(buffer))) critical_error("SocketSend beyond the array");
  std::string text(reinterpret_cast<const char *>(buffer.data()), length);
  if (bench::swallow_reply && text.find("\"re\":") != std::string::npos) {
    bench::swallow_reply = false;
    return static_cast<int>(length);
  }
  size_t sent = 0;
  while (sent < length) {
    ssize_t done = ::send(found->second.descriptor, buffer.data() + sent, length - sent, MSG_NOSIGNAL);
    if (done <= 0) return sent ? static_cast<int>(sent) : -1;
    sent += static_cast<size_t>(done);
  }
  return static_cast<int>(length);
}

} // namespace mql
