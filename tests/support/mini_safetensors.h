// A reader of small, trusted safetensors fixtures for the tests of modules below io.
#pragma once

#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

namespace sumi::test {

// The values of one tensor of a safetensors file, its bytes read as T.
template <class T> std::vector<T> read_tensor(const std::string& path, const std::string& name) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  uint64_t header_size = 0;
  if (bytes.size() < 8) throw std::runtime_error("cannot read " + path);
  std::memcpy(&header_size, bytes.data(), 8);
  const std::string header = bytes.substr(8, header_size);
  const size_t entry = header.find("\"" + name + "\":");
  const std::string key = "\"data_offsets\":[";
  const size_t offsets = entry == std::string::npos ? entry : header.find(key, entry);
  if (offsets == std::string::npos) throw std::runtime_error(path + " holds no tensor " + name);
  char* next = nullptr;
  const uint64_t begin = std::strtoull(header.c_str() + offsets + key.size(), &next, 10);
  const uint64_t end = std::strtoull(next + 1, nullptr, 10);
  if (end < begin || end > bytes.size() - 8 - header_size) throw std::runtime_error(path + " is cut short");
  std::vector<T> values((end - begin) / sizeof(T));
  std::memcpy(values.data(), bytes.data() + 8 + header_size + begin, values.size() * sizeof(T));
  return values;
}

}  // namespace sumi::test
