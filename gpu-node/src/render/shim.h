// What the parts in C++ share.

#pragma once

#include <cstddef>
#include <cstring>
#include <exception>

namespace atelier {

// Runs an operation that may throw. False: it did, and `message`, of `capacity` bytes, says what.
template <typename Operation>
bool attempt(char* message, size_t capacity, Operation&& operation) noexcept {
  try {
    operation();
    return true;
  } catch (const std::exception& error) {
    std::strncpy(message, error.what(), capacity - 1);
  } catch (...) {
    std::strncpy(message, "no standard exception", capacity - 1);
  }
  message[capacity - 1] = '\0';
  return false;
}

}  // namespace atelier
