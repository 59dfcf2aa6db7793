#include "io/safetensors_header.h"

#include <nlohmann/json.hpp>

#include <array>
#include <optional>
#include <unordered_set>

#include "base/text_util.h"
#include "io/safetensors.h"

namespace sumi::io {
namespace {

std::optional<DType> dtype_of_name(std::string_view name) {
  static constexpr std::array<std::pair<std::string_view, DType>, 15> kNames{{{"F32", DType::kF32},
                                                                              {"F16", DType::kF16},
                                                                              {"BF16", DType::kBF16},
                                                                              {"F64", DType::kF64},
                                                                              {"I64", DType::kI64},
                                                                              {"I32", DType::kI32},
                                                                              {"I16", DType::kI16},
                                                                              {"I8", DType::kI8},
                                                                              {"U64", DType::kU64},
                                                                              {"U32", DType::kU32},
                                                                              {"U16", DType::kU16},
                                                                              {"U8", DType::kU8},
                                                                              {"BOOL", DType::kBool},
                                                                              {"F8_E4M3", DType::kF8E4M3},
                                                                              {"F8_E5M2", DType::kF8E5M2}}};
  for (const auto& [known, dtype] : kNames) {
    if (known == name) return dtype;
  }
  return std::nullopt;
}

// Follows the events of the parser; the first broken rule ends it. No tree is built: a hostile header costs no memory.
class Reader : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit Reader(SafetensorsHeader& header) : header_(header) {}
  const std::string& problem() const { return problem_; }

  bool start_object(size_t) override {
    if (place_ == Place::kStart) return go(Place::kTop);
    if (place_ == Place::kTopValue) {
      if (name_ == "__metadata__") return go(Place::kMetadata);
      header_.entries.emplace_back().info.name = name_;
      seen_ = {};
      return go(Place::kTensor);
    }
    return misplaced("an object");
  }

  bool end_object() override {
    switch (place_) {
      case Place::kTop: return go(Place::kEnd);
      case Place::kMetadata: return go(Place::kTop);
      case Place::kTensor:
        if (!seen_.dtype) return broken("has no dtype");
        if (!seen_.shape) return broken("has no shape");
        if (!seen_.offsets) return broken("has no data_offsets");
        return go(Place::kTop);
      default: return misplaced("an object");
    }
  }

  bool key(std::string& key) override {
    if (place_ == Place::kTop) {
      name_ = key;
      if (!names_.insert(key).second) return complain(fmt::format("the key \"{}\" appears twice", printable(key)));
      if (names_.size() > kMaxTensors) return complain(fmt::format("more than {} tensors", kMaxTensors));
      return go(Place::kTopValue);
    }
    if (place_ == Place::kMetadata) {
      metadata_key_ = key;
      if (header_.metadata.contains(key))
        return complain(fmt::format("the metadata key \"{}\" appears twice", printable(key)));
      return go(Place::kMetadataValue);
    }
    bool* field = key == "dtype"          ? &seen_.dtype
                  : key == "shape"        ? &seen_.shape
                  : key == "data_offsets" ? &seen_.offsets
                                          : nullptr;
    if (field == nullptr) return broken(fmt::format("has an unknown field \"{}\"", printable(key)));
    if (*field) return broken(fmt::format("has {} twice", key));
    *field = true;
    return go(key == "dtype" ? Place::kDtype : key == "shape" ? Place::kShapeStart : Place::kOffsetsStart);
  }

  bool start_array(size_t) override {
    if (place_ == Place::kShapeStart) return go(Place::kShape);
    if (place_ == Place::kOffsetsStart) {
      offsets_ = 0;
      return go(Place::kOffsets);
    }
    return misplaced("an array");
  }

  bool end_array() override {
    if (place_ == Place::kOffsets && offsets_ != 2) return broken("has data_offsets that are not a pair");
    return go(Place::kTensor);
  }

  bool string(std::string& value) override {
    if (place_ == Place::kMetadataValue) {
      header_.metadata.emplace(metadata_key_, value);
      return go(Place::kMetadata);
    }
    if (place_ == Place::kDtype) {
      const std::optional<DType> dtype = dtype_of_name(value);
      if (!dtype) return broken(fmt::format("has the type \"{}\", which sumi does not know", printable(value)));
      entry().info.dtype = *dtype;
      return go(Place::kTensor);
    }
    return misplaced("a string");
  }

  bool number_unsigned(number_unsigned_t value) override {
    if (place_ == Place::kShape) {
      if (dims_.size() >= kMaxRank) return broken(fmt::format("has more than {} dimensions", kMaxRank));
      if (value > static_cast<uint64_t>(INT64_MAX)) return broken(fmt::format("has a dimension of {}", value));
      dims_.push_back(static_cast<int64_t>(value));
      entry().info.shape = Shape(dims_);
      return true;
    }
    if (place_ == Place::kOffsets && offsets_ < 2) {
      (offsets_++ == 0 ? entry().begin : entry().end) = value;
      return true;
    }
    if (place_ == Place::kOffsets) return broken("has data_offsets that are not a pair");
    return misplaced("a number");
  }

  bool number_integer(number_integer_t value) override { return number_problem(fmt::format("{}", value)); }
  bool number_float(number_float_t, const std::string& text) override { return number_problem(text); }
  bool null() override { return misplaced("null"); }
  bool boolean(bool) override { return misplaced("a truth value"); }
  bool binary(nlohmann::json::binary_t&) override { return misplaced("binary data"); }
  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception&) override {
    return complain(fmt::format("the header is not JSON (byte {})", position));
  }

 private:
  enum class Place {
    kStart,
    kTop,
    kTopValue,
    kMetadata,
    kMetadataValue,
    kTensor,
    kDtype,
    kShapeStart,
    kShape,
    kOffsetsStart,
    kOffsets,
    kEnd
  };

  HeaderEntry& entry() { return header_.entries.back(); }
  static std::string printable(const std::string& text) { return strip_control(text.substr(0, 80)); }

  bool go(Place place) {
    place_ = place;
    if (place == Place::kShape) dims_.clear();
    return true;
  }
  bool complain(std::string problem) {
    problem_ = std::move(problem);
    return false;
  }
  bool broken(const std::string& what) { return complain(fmt::format("tensor \"{}\" {}", printable(name_), what)); }
  bool misplaced(const char* what) {
    if (place_ == Place::kStart) return complain(fmt::format("the header is {}, not an object", what));
    if (place_ == Place::kMetadataValue || place_ == Place::kMetadata)
      return complain(fmt::format("the metadata holds {} where a string belongs", what));
    return broken(fmt::format("has {} where it does not belong", what));
  }
  bool number_problem(const std::string& text) {
    if (place_ == Place::kShape)
      return broken(fmt::format("has the dimension {}; a whole number from 0 up is expected", text));
    if (place_ == Place::kOffsets)
      return broken(fmt::format("has the offset {}; a whole number from 0 up is expected", text));
    return misplaced("a number");
  }

  SafetensorsHeader& header_;
  Place place_ = Place::kStart;
  std::string name_, metadata_key_, problem_;
  std::unordered_set<std::string> names_;
  std::vector<int64_t> dims_;
  int offsets_ = 0;
  struct {
    bool dtype = false, shape = false, offsets = false;
  } seen_;
};

}  // namespace

SafetensorsHeader parse_safetensors_header(std::string_view json, const std::string& file) {
  SafetensorsHeader header;
  Reader reader(header);
  const bool read = nlohmann::json::sax_parse(json.begin(), json.end(), &reader);
  SUMI_CHECK(read, "{}: {}", file, reader.problem());
  return header;
}

}  // namespace sumi::io
