#include "io/torch_ckpt.h"

#include <cstring>
#include <map>
#include <set>

#include "base/text_util.h"
#include "io/legacy_torch.h"
#include "io/mapped_file.h"
#include "io/pickle.h"
#include "io/sniff.h"
#include "io/zip_reader.h"

namespace sumi::io {
namespace {

using Kind = PickleValue::Kind;

constexpr uint64_t kMaxPickle = 64 << 20;
constexpr uint64_t kChecksummed = 64 << 20;
constexpr int64_t kLargestTensor = int64_t{1} << 40;  // elements

// Where a tensor's elements lie in its storage.
struct Layout {
  int64_t offset;  // bytes in the file
  std::vector<int64_t> strides;
  bool contiguous;
};

class TorchFile : public Checkpoint {
 public:
  explicit TorchFile(std::shared_ptr<MappedFile> file) : file_(std::move(file)) {
    path_ = file_->path();
    format_ = "torch checkpoint";
    const std::string name = path_.string();
    const std::span<const uint8_t> contents = file_->contents();
    check_is_a_model(contents, path_);
    const bool zip = contents.size() >= 4 && std::memcmp(contents.data(), "PK\x03\x04", 4) == 0;
    SUMI_CHECK(!is_tar(contents),
               "{}: is in torch's format from before 2017; load it in PyTorch and save it again with torch.save, or as "
               "safetensors",
               name);
    SUMI_CHECK(zip || is_legacy_torch(contents), "{}: is neither a safetensors file nor a torch checkpoint", name);
    if (zip) {
      read_zip(contents, name);
    } else {
      LegacyTorch legacy = read_legacy_torch(contents, name);
      storages_ = std::move(legacy.storages);
      collect(*legacy.pickle.root, name);
    }
    index();
    file_->check_intact();
  }

  Tensor tensor(std::string_view name) const override {
    const TensorInfo* info = find(name);
    SUMI_CHECK(info != nullptr, "{}: there is no tensor \"{}\"", path_.string(), name);
    const Layout& layout = layouts_[static_cast<size_t>(info - tensors_.data())];
    file_->check_intact();
    if (info->shape.numel() == 0) return Tensor::empty(info->shape, info->dtype);
    if (!is_copied(name)) return Tensor(file_, layout.offset, info->shape, info->dtype);
    if (!layout.contiguous) return gather(*info, layout);
    Tensor copy = Tensor::empty(info->shape, info->dtype);  // the format of before 2020 aligns nothing
    copy.write(std::as_bytes(
        file_->contents().subspan(static_cast<size_t>(layout.offset), static_cast<size_t>(copy.bytes()))));
    return copy;
  }

  bool is_copied(std::string_view name) const override {
    const TensorInfo* info = find(name);
    if (info == nullptr) return false;
    const Layout& layout = layouts_[static_cast<size_t>(info - tensors_.data())];
    return !layout.contiguous || layout.offset % size_of(info->dtype) != 0;
  }

  void check_intact() const override { file_->check_intact(); }
  void release_pages() const override { file_->release_pages(); }

 private:
  static bool is_tar(std::span<const uint8_t> contents) {
    return contents.size() > 262 && std::memcmp(contents.data() + 257, "ustar", 5) == 0;
  }

  void read_zip(std::span<const uint8_t> contents, const std::string& name) {
    for (ZipEntry& entry : read_zip_directory(contents, name)) add_entry(std::move(entry), name);
    SUMI_CHECK(pickle_entry_ != nullptr, "{}: has no data.pkl; it is a zip archive but not a torch checkpoint", name);
    check_byte_order(contents, name);
    SUMI_CHECK(pickle_entry_->size <= kMaxPickle, "{}: its data.pkl has {} bytes", name, pickle_entry_->size);
    const Pickle pickle = read_pickle(contents.subspan(pickle_entry_->offset, pickle_entry_->size), name);
    check_crc(contents, *pickle_entry_, name);
    for (const auto& [inner, entry] : entries_) {
      constexpr std::string_view kData = "data/";
      if (inner.starts_with(kData)) storages_[inner.substr(kData.size())] = {entry.offset, entry.size};
    }
    collect(*pickle.root, name);
    check_small_storages(contents, name);
  }

  // Entries are "ARCHIVE/data.pkl", "ARCHIVE/data/KEY", "ARCHIVE/byteorder", …
  void add_entry(ZipEntry entry, const std::string& name) {
    const size_t slash = entry.name.find('/');
    if (slash == std::string::npos) return;
    const std::string inner = entry.name.substr(slash + 1);
    if (inner == "data.pkl") SUMI_CHECK(pickle_entry_ == nullptr, "{}: has two data.pkl", name);
    const ZipEntry& kept = entries_[inner] = std::move(entry);
    if (inner == "data.pkl") pickle_entry_ = &kept;
  }

  void check_byte_order(std::span<const uint8_t> contents, const std::string& name) const {
    const auto it = entries_.find("byteorder");
    if (it == entries_.end()) return;
    const std::string order(reinterpret_cast<const char*>(contents.data()) + it->second.offset,
                            std::min<size_t>(16, it->second.size));
    SUMI_CHECK(order == "little",
               "{}: was written on a machine of byte order \"{}\"; save it again on a little-endian one", name,
               strip_control(order));
  }

  // The dictionary of tensors: the root or what it holds under the usual names.
  static const PickleValue& state_dict(const PickleValue& root, const std::string& name) {
    SUMI_CHECK(root.kind != Kind::kInert || root.text.empty(),
               "{}: holds no dictionary of tensors, but a \"{}\", which would have to be run", name,
               strip_control(root.text));
    SUMI_CHECK(root.kind == Kind::kDict, "{}: holds no dictionary of tensors", name);
    for (const char* key : {"state_dict", "model_state_dict", "model", "module"}) {
      for (const auto& [k, value] : root.entries) {
        if (k->kind == Kind::kString && k->text == key && value->kind == Kind::kDict) return *value;
      }
    }
    return root;
  }

  void collect(const PickleValue& root, const std::string& name) {
    std::set<std::string> seen;
    const PickleValue& dictionary = state_dict(root, name);
    collect_entries(dictionary, "", name, seen);
    // Embeddings of textual inversion have theirs one level down: {"string_to_param": {"*": tensor}}.
    const bool nested = tensors_.empty();
    for (const auto& [key, value] : dictionary.entries) {
      if (nested && key->kind == Kind::kString && value->kind == Kind::kDict)
        collect_entries(*value, key->text + ".", name, seen);
    }
    SUMI_CHECK(!tensors_.empty(), "{}: holds no tensors", name);
    for (const auto& [key, value] : dictionary.entries) {  // what an embedding is called
      if (key->kind == Kind::kString && key->text == "name" && value->kind == Kind::kString)
        metadata_["name"] = shorten(strip_control(value->text), 200);
    }
  }

  void collect_entries(const PickleValue& dictionary, const std::string& prefix, const std::string& name,
                       std::set<std::string>& seen) {
    for (const auto& [key, value] : dictionary.entries) {
      if (key->kind != Kind::kString || value->kind != Kind::kTensor) continue;
      const std::string full = prefix + key->text;
      SUMI_CHECK(seen.insert(full).second, "{}: the tensor \"{}\" appears twice", name, strip_control(full));
      layouts_.push_back(place(*value, full, name));
      tensors_.push_back({full, value->storage->dtype, Shape(value->sizes)});
    }
  }

  Layout place(const PickleValue& tensor, const std::string& tensor_name, const std::string& name) {
    const std::string shown = strip_control(tensor_name);
    const PickleValue& storage = *tensor.storage;
    const auto it = storages_.find(storage.text);
    SUMI_CHECK(it != storages_.end(), "{}: tensor \"{}\" lies in the storage \"{}\", which is missing", name, shown,
               strip_control(storage.text));
    const int64_t width = size_of(storage.dtype), held = static_cast<int64_t>(it->second.size) / width;
    SUMI_CHECK(storage.offset <= held, "{}: the storage of tensor \"{}\" should hold {} values and has {}", name, shown,
               storage.offset, held);
    SUMI_CHECK(tensor.offset <= held, "{}: tensor \"{}\" begins at value {} of a storage of {}", name, shown,
               tensor.offset, held);
    int64_t last = tensor.offset, count = 1, dense = 1;
    bool contiguous = true;
    for (size_t i = tensor.sizes.size(); i-- > 0;) {
      int64_t reach = 0;
      const bool fits = !__builtin_mul_overflow(count, tensor.sizes[i], &count) && count <= kLargestTensor &&
                        !__builtin_mul_overflow(std::max<int64_t>(tensor.sizes[i] - 1, 0), tensor.strides[i], &reach) &&
                        !__builtin_add_overflow(last, reach, &last);
      SUMI_CHECK(fits, "{}: tensor \"{}\" of shape {} is larger than any file", name, shown, Shape(tensor.sizes).str());
      contiguous = contiguous && (tensor.sizes[i] <= 1 || tensor.strides[i] == dense);
      dense = count;
    }
    SUMI_CHECK(count == 0 || last < held, "{}: tensor \"{}\" of shape {} reaches to value {} of a storage of {}", name,
               shown, Shape(tensor.sizes).str(), last, held);
    // A tensor of repeated values (stride 0) is small on disk and may be vast in memory.
    SUMI_CHECK(contiguous || count <= held, "{}: tensor \"{}\" of shape {} is spread out from a storage of {} values",
               name, shown, Shape(tensor.sizes).str(), held);
    return {static_cast<int64_t>(it->second.offset) + tensor.offset * width, tensor.strides, contiguous};
  }

  void check_small_storages(std::span<const uint8_t> contents, const std::string& name) const {
    uint64_t total = 0;
    for (const auto& [inner, entry] : entries_) total += entry.size;
    if (total > kChecksummed) return;
    for (const auto& [inner, entry] : entries_) check_crc(contents, entry, name);
  }

  Tensor gather(const TensorInfo& info, const Layout& layout) const {
    Tensor out = Tensor::empty(info.shape, info.dtype);
    const HostEdit<std::byte> to(out);
    const int64_t width = size_of(info.dtype);
    std::vector<int64_t> position(layout.strides.size(), 0);
    for (int64_t i = 0; i < info.shape.numel(); ++i) {
      int64_t from = 0;
      for (size_t axis = 0; axis < position.size(); ++axis) from += position[axis] * layout.strides[axis];
      std::memcpy(to.data() + i * width, file_->contents().data() + layout.offset + from * width,
                  static_cast<size_t>(width));
      for (size_t axis = position.size(); axis-- > 0 && ++position[axis] == info.shape[static_cast<int>(axis)];)
        position[axis] = 0;
    }
    return out;
  }

  std::shared_ptr<MappedFile> file_;
  std::map<std::string, ZipEntry> entries_;
  std::map<std::string, StorageBytes> storages_;
  const ZipEntry* pickle_entry_ = nullptr;
  std::vector<Layout> layouts_;
};

}  // namespace

std::unique_ptr<Checkpoint> open_torch_ckpt(const std::filesystem::path& path) {
  return open_torch_ckpt(MappedFile::open(path));
}

std::unique_ptr<Checkpoint> open_torch_ckpt(std::shared_ptr<MappedFile> file) {
  return std::make_unique<TorchFile>(std::move(file));
}

}  // namespace sumi::io
