#include "tools/torch_zip.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>

#include "base/parallel.h"

namespace sumi::tools {
namespace {

constexpr uint64_t kAlignment = 64;
constexpr uint32_t kIn64 = 0xffffffff;  // "the real value is in the zip64 field"
constexpr uint16_t kMsDosDate = 0x21;   // 1 January 1980: the same bytes whenever the file is written
constexpr uint16_t kVersionZip64 = 45;

// Appends an integer, little-endian, in as many bytes as its type has.
template <class T> void put(std::string& out, T value) {
  for (size_t i = 0; i < sizeof(T); ++i) out.push_back(static_cast<char>(static_cast<uint64_t>(value) >> (8 * i)));
}

// CRC-32 in blocks, so that it runs on every core; block sums combine exactly.
uint32_t parallel_crc32(std::span<const std::byte> bytes) {
  constexpr size_t kBlock = 4 << 20;
  std::vector<uLong> sums((bytes.size() + kBlock - 1) / kBlock);
  const auto block = [&](size_t i) { return bytes.subspan(i * kBlock, std::min(kBlock, bytes.size() - i * kBlock)); };
  parallel_for(static_cast<int64_t>(sums.size()), [&](int64_t i) {
    const auto part = block(static_cast<size_t>(i));
    sums[static_cast<size_t>(i)] =
        crc32(0, reinterpret_cast<const Bytef*>(part.data()), static_cast<uInt>(part.size()));
  });
  uLong crc = crc32(0, nullptr, 0);
  for (size_t i = 0; i < sums.size(); ++i) crc = crc32_combine(crc, sums[i], static_cast<z_off_t>(block(i).size()));
  return static_cast<uint32_t>(crc);
}

// The zip64 field with those values that do not fit 32 bits, or nothing.
std::string zip64_field(std::initializer_list<uint64_t> values) {
  if (values.size() == 0) return "";
  std::string field;
  put<uint16_t>(field, 1);
  put<uint16_t>(field, static_cast<uint16_t>(8 * values.size()));
  for (const uint64_t value : values) put(field, value);
  return field;
}

uint32_t low(uint64_t value) { return static_cast<uint32_t>(std::min<uint64_t>(value, kIn64)); }

}  // namespace

void TorchZipWriter::write(const std::string& bytes) {
  file_.write(bytes);
  position_ += bytes.size();
}

void TorchZipWriter::add(const std::string& name, std::span<const std::byte> bytes) {
  const Entry entry{name, parallel_crc32(bytes), bytes.size(), position_};
  std::string extra = entry.size >= kIn64 ? zip64_field({entry.size, entry.size}) : "";
  // A field "FB" of padding, as torch's own writer has it, puts the bytes on the boundary.
  const uint64_t unpadded = position_ + 30 + name.size() + extra.size() + 4;
  const uint64_t padding = (kAlignment - unpadded % kAlignment) % kAlignment;
  extra += "FB";
  put<uint16_t>(extra, static_cast<uint16_t>(padding));
  extra.append(padding, 'Z');

  std::string header = "PK\x03\x04";
  put<uint16_t>(header, entry.size >= kIn64 ? kVersionZip64 : 10);
  put<uint16_t>(header, 0);  // flags
  put<uint16_t>(header, 0);  // stored
  put<uint16_t>(header, 0);  // time
  put<uint16_t>(header, kMsDosDate);
  put<uint32_t>(header, entry.crc);
  put<uint32_t>(header, low(entry.size));
  put<uint32_t>(header, low(entry.size));
  put<uint16_t>(header, static_cast<uint16_t>(name.size()));
  put<uint16_t>(header, static_cast<uint16_t>(extra.size()));
  write(header + name + extra);
  file_.write(bytes.data(), bytes.size());
  position_ += bytes.size();
  entries_.push_back(entry);
}

void TorchZipWriter::finish() {
  const uint64_t directory = position_;
  for (const Entry& entry : entries_) {
    std::string extra;
    if (entry.size >= kIn64 && entry.offset >= kIn64) {
      extra = zip64_field({entry.size, entry.size, entry.offset});
    } else if (entry.size >= kIn64) {
      extra = zip64_field({entry.size, entry.size});
    } else if (entry.offset >= kIn64) {
      extra = zip64_field({entry.offset});
    }
    std::string record = "PK\x01\x02";
    put<uint16_t>(record, kVersionZip64);                       // made by
    put<uint16_t>(record, extra.empty() ? 10 : kVersionZip64);  // needed to extract
    put<uint16_t>(record, 0);
    put<uint16_t>(record, 0);
    put<uint16_t>(record, 0);
    put<uint16_t>(record, kMsDosDate);
    put<uint32_t>(record, entry.crc);
    put<uint32_t>(record, low(entry.size));
    put<uint32_t>(record, low(entry.size));
    put<uint16_t>(record, static_cast<uint16_t>(entry.name.size()));
    put<uint16_t>(record, static_cast<uint16_t>(extra.size()));
    put<uint16_t>(record, 0);  // comment
    put<uint16_t>(record, 0);  // disk
    put<uint16_t>(record, 0);  // internal attributes
    put<uint32_t>(record, 0);  // external attributes
    put<uint32_t>(record, low(entry.offset));
    write(record + entry.name + extra);
  }
  const uint64_t directory_size = position_ - directory;
  const uint64_t end64 = position_;

  std::string end = "PK\x06\x06";
  put<uint64_t>(end, 44);  // bytes that follow in this record
  put<uint16_t>(end, kVersionZip64);
  put<uint16_t>(end, kVersionZip64);
  put<uint32_t>(end, 0);
  put<uint32_t>(end, 0);
  put<uint64_t>(end, entries_.size());
  put<uint64_t>(end, entries_.size());
  put<uint64_t>(end, directory_size);
  put<uint64_t>(end, directory);

  end += "PK\x06\x07";
  put<uint32_t>(end, 0);
  put<uint64_t>(end, end64);
  put<uint32_t>(end, 1);

  end += "PK\x05\x06";
  put<uint16_t>(end, 0);
  put<uint16_t>(end, 0);
  put<uint16_t>(end, static_cast<uint16_t>(std::min<size_t>(entries_.size(), 0xffff)));
  put<uint16_t>(end, static_cast<uint16_t>(std::min<size_t>(entries_.size(), 0xffff)));
  put<uint32_t>(end, low(directory_size));
  put<uint32_t>(end, low(directory));
  put<uint16_t>(end, 0);
  write(end);
}

namespace {

// The few opcodes of pickle protocol 2 that a state dict needs.
class Pickler {
 public:
  void op(std::string_view code) { out_ += code; }
  void global(std::string_view module, std::string_view name) { out_ += fmt::format("c{}\n{}\n", module, name); }
  void text(std::string_view value) {
    out_ += 'X';  // BINUNICODE
    put<uint32_t>(out_, static_cast<uint32_t>(value.size()));
    out_ += value;
  }
  void integer(int64_t value) {
    if (value >= 0 && value <= 0x7fffffff) {
      out_ += 'J';  // BININT
      put<int32_t>(out_, static_cast<int32_t>(value));
    } else {
      out_ += "\x8a\x08";  // LONG1 of eight bytes
      put<int64_t>(out_, value);
    }
  }
  void integers(const std::vector<int64_t>& values) {
    op("(");
    for (const int64_t value : values) integer(value);
    op("t");
  }
  void empty_ordered_dict() {
    global("collections", "OrderedDict");
    op(")R");
  }
  std::string take() { return std::move(out_); }

 private:
  std::string out_;
};

std::vector<int64_t> contiguous_strides(const std::vector<int64_t>& dims) {
  std::vector<int64_t> strides(dims.size(), 1);
  for (size_t i = dims.size(); i-- > 1;) strides[i - 1] = strides[i] * dims[i];
  return strides;
}

// torch._utils._rebuild_tensor_v2(storage, offset, size, stride, requires_grad, backward_hooks)
void pickle_tensor(Pickler& p, const PickledTensor& tensor, size_t index) {
  int64_t numel = 1;
  for (const int64_t dim : tensor.dims) numel *= dim;
  p.global("torch._utils", "_rebuild_tensor_v2");
  p.op("((");
  p.text("storage");
  p.global("torch", tensor.storage_class);
  p.text(std::to_string(index));
  p.text("cpu");
  p.integer(numel);
  p.op("tQ");  // the persistent id of a storage
  p.integer(0);
  p.integers(tensor.dims);
  p.integers(contiguous_strides(tensor.dims));
  p.op("\x89");  // False
  p.empty_ordered_dict();
  p.op("tR");
}

}  // namespace

std::string pickle_state_dict(const std::vector<PickledTensor>& tensors) {
  Pickler p;
  p.op("\x80\x02}(");
  p.text("state_dict");
  p.empty_ordered_dict();
  p.op("(");
  for (size_t i = 0; i < tensors.size(); ++i) {
    p.text(tensors[i].name);
    pickle_tensor(p, tensors[i], i);
  }
  p.op("u");
  p.text("global_step");
  p.integer(0);
  p.op("u.");
  return p.take();
}

}  // namespace sumi::tools
