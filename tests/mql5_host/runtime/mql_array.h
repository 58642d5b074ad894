// MQL5 arrays: every access is checked, fixed arrays cannot be resized, and arrays are not assigned but copied by ArrayCopy.
#pragma once
#include <initializer_list>
#include <type_traits>
#include <vector>
#include "mql_text.h"

namespace mql {

const int WHOLE_ARRAY = -1;

template <class T> class Array {
public:
  // vector<bool> has no addressable elements
  using Stored = std::conditional_t<std::is_same_v<T, bool>, uchar, T>;
  std::vector<Stored> items;
  bool is_fixed = false;

  Array() = default;
  Array(std::initializer_list<T> values) : items(values.begin(), values.end()) {}
  T &operator[](long index) {
    check(index);
    return reinterpret_cast<T &>(items[static_cast<size_t>(index)]);
  }
  const T &operator[](long index) const {
    check(index);
    return reinterpret_cast<const T &>(items[static_cast<size_t>(index)]);
  }
  T *data() { return reinterpret_cast<T *>(items.data()); }
  const T *data() const { return reinterpret_cast<const T *>(items.data()); }

  Array(const Array &) = delete;
  Array &operator=(const Array &) = delete;
  Array(Array &&) = default;
  Array &operator=(Array &&) = default;

private:
  void check(long index) const {
    if (index < 0 || static_cast<size_t>(index) >= items.size()) critical_error("array out of range");
  }
};

template <class T, int N> class FixedArray : public Array<T> {
public:
  FixedArray() {
    this->items.resize(N);
    this->is_fixed = true;
  }
  FixedArray(std::initializer_list<T> values) : Array<T>(values) {
    this->items.resize(N);
    this->is_fixed = true;
  }
};

template <class T> int ArraySize(const Array<T> &array) { return static_cast<int>(array.items.size()); }

template <class T> int ArrayResize(Array<T> &array, int size, int reserve = 0) {
  if (array.is_fixed || size < 0) return -1;
  if (static_cast<size_t>(size) > array.items.capacity()) array.items.reserve(static_cast<size_t>(size + reserve));
  array.items.resize(static_cast<size_t>(size));
  return size;
}

template <class T> void ArrayFree(Array<T> &array) {
  if (!array.is_fixed) array.items.clear();
}

template <class T, class V> int ArrayInitialize(Array<T> &array, V value) {
  for (auto &item : array.items) item = static_cast<T>(value);
  return ArraySize(array);
}

// The reference: arrays of structures that hold strings or arrays are not copied by these functions.
template <class T> constexpr bool is_plain = std::is_trivially_copyable_v<T> || std::is_same_v<T, string>;

template <class T>
int ArrayCopy(Array<T> &to, const Array<T> &from, int to_start = 0, int from_start = 0, int count = WHOLE_ARRAY) {
  static_assert(is_plain<T>, "ArrayCopy: a structure with strings");
  int available = ArraySize(from) - from_start;
  if (count < 0 || count > available) count = available;
  if (count <= 0) return 0;
  if (ArraySize(to) < to_start + count) {
    if (to.is_fixed)
      count = ArraySize(to) - to_start;
    else
      to.items.resize(static_cast<size_t>(to_start + count));
  }
  for (int i = 0; i < count; i++) to[to_start + i] = from[from_start + i];
  return count;
}

template <class T> bool ArrayRemove(Array<T> &array, int start, int count = WHOLE_ARRAY) {
  static_assert(is_plain<T>, "ArrayRemove: a structure with strings");
  int size = ArraySize(array);
  if (array.is_fixed || start < 0 || start >= size) return false;
  if (count < 0 || start + count > size) count = size - start;
  array.items.erase(array.items.begin() + start, array.items.begin() + start + count);
  return true;
}

template <class T> void ZeroMemory(T &value) { value = T{}; }

} // namespace mql
