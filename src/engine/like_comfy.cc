// ComfyUI's graph as a request: from the node that saves the picture back to what it came from.
#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "engine/like_readers.h"
#include "engine/resolve.h"

namespace sumi::engine {
namespace {

using Json = nlohmann::json;

constexpr int kMostHops = 256;     // along one way through the graph, which may have cycles
constexpr size_t kMostSaved = 64;  // nodes that save a picture

struct Node {
  std::string id, kind;
  const Json* inputs = nullptr;
  explicit operator bool() const { return inputs != nullptr; }
  bool is(std::string_view name) const { return kind == name; }
  // "node 17 FaceDetailer"
  std::string shown() const { return "node " + id + " " + kind; }
};

const Json* member(const Json& object, std::string_view key) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  return found == object.end() ? nullptr : &*found;
}

class Graph {
 public:
  explicit Graph(const Json& json) : json_(json) {}

  Node node(const std::string& id) const {
    const Json* found = member(json_, id);
    const Json* kind = found == nullptr ? nullptr : member(*found, "class_type");
    const Json* inputs = found == nullptr ? nullptr : member(*found, "inputs");
    if (kind == nullptr || !kind->is_string() || inputs == nullptr || !inputs->is_object()) return {};
    return {id, kind->get<std::string>(), inputs};
  }

  // What an input is linked to: ["17", 0].
  Node source(const Node& node, std::string_view input) const {
    const Json* link = node ? member(*node.inputs, input) : nullptr;
    if (link == nullptr || !link->is_array() || link->size() != 2 || !(*link)[0].is_string()) return {};
    return this->node((*link)[0].get<std::string>());
  }
  int64_t slot(const Node& node, std::string_view input) const {
    const Json* link = member(*node.inputs, input);
    return link != nullptr && link->is_array() && link->size() == 2 && (*link)[1].is_number_integer()
               ? (*link)[1].get<int64_t>()
               : 0;
  }

  // An input's value; one that another node makes is looked for there under its usual names.
  const Json* value(const Node& node, std::string_view input) const {
    const Json* found = node ? member(*node.inputs, input) : nullptr;
    Node at = node;
    for (int hops = 0; found != nullptr && found->is_array() && hops < 16; ++hops) {
      at = source(at, input);
      found = nullptr;
      for (const char* name :
           {"value", "seed", "noise_seed", "int", "float", "number", "string", "text", "Number", "Text", "ckpt_name"}) {
        if (at && found == nullptr && member(*at.inputs, name) != nullptr) {
          found = member(*at.inputs, name);
          input = name;
        }
      }
    }
    return found;
  }

  std::optional<std::string> text(const Node& node, std::string_view input) const {
    const Json* found = value(node, input);
    return found != nullptr && found->is_string() ? std::optional(found->get<std::string>()) : std::nullopt;
  }
  std::optional<double> number(const Node& node, std::string_view input) const {
    const Json* found = value(node, input);
    return found != nullptr && found->is_number() ? std::optional(found->get<double>()) : std::nullopt;
  }
  std::optional<int64_t> whole(const Node& node, std::string_view input) const {
    const auto found = number(node, input);
    return found && std::abs(*found) < 1e15 ? std::optional(static_cast<int64_t>(*found)) : std::nullopt;
  }
  std::optional<uint64_t> seed(const Node& node, std::string_view input) const {
    const Json* found = value(node, input);
    return found != nullptr && found->is_number_unsigned() ? std::optional(found->get<uint64_t>()) : std::nullopt;
  }

  std::vector<Node> nodes() const {
    std::vector<Node> all;
    for (const auto& item : json_.items()) {
      if (Node found = node(item.key())) all.push_back(std::move(found));
    }
    return all;
  }

 private:
  const Json& json_;
};

bool is_sampler(const Node& node) { return node.is("KSampler") || node.is("KSamplerAdvanced"); }
bool is_empty_latent(const Node& node) { return node.is("EmptyLatentImage") || node.is("EmptySD3LatentImage"); }

class ComfyReader {
 public:
  ComfyReader(const Json& json, Like& like) : graph_(json), like_(like), r_(like.request) {}

  void operator()() {
    like_.from = "ComfyUI";
    r_.syntax = "weighted";
    r_.seeding = "picture";
    r_.rng = "cpu";
    const Node sampler = last_sampler();
    SUMI_CHECK(sampler, "its ComfyUI graph has no KSampler that a picture comes from; other samplers are not read");
    take_sampler_node(sampler);
    if (!r_.prompts.empty()) return;
    r_.prompts = {""};
    leave(like_, "the prompt, which no CLIPTextEncode has as a text");
  }

 private:
  // Goes back along images and latents to what makes them; what changes them on the way is left.
  Node origin(Node node, std::string_view input) {
    Node at = graph_.source(node, input);
    for (int hops = 0; at && hops < kMostHops; ++hops) {
      if (is_sampler(at) || is_empty_latent(at) || at.is("LoadImage") || at.is("VAEEncode") ||
          at.is("VAEEncodeForInpaint") || at.is("LatentUpscale") || at.is("LatentUpscaleBy") ||
          at.is("SetLatentNoiseMask") || at.is("ImageScaleBy") || at.is("ImageUpscaleWithModel"))
        return at;
      if (!at.is("VAEDecode") && !at.is("VAEDecodeTiled")) leave(like_, at.shown());
      Node next;
      for (const char* name : {"samples", "image", "images", "pixels", "latent", "latent_image"}) {
        if (!next) next = graph_.source(at, name);
      }
      at = next;
    }
    return {};
  }

  // The sampler behind a node that saves a picture, else behind any that shows one, else any.
  Node last_sampler() {
    const std::vector<Node> nodes = graph_.nodes();
    size_t tried = 0;
    for (const char* kind : {"SaveImage", "PreviewImage"}) {
      for (const Node& node : nodes) {
        if (!node.is(kind) || ++tried > kMostSaved) continue;
        Node at = origin(node, "images");
        for (int hops = 0; at && !is_sampler(at) && hops < kMostHops; ++hops) {  // scaled after it was drawn
          leave(like_, at.shown());
          at = origin(at, "image");
        }
        if (at) return at;
      }
    }
    const auto found = std::find_if(nodes.begin(), nodes.end(), is_sampler);
    return found == nodes.end() ? Node() : *found;
  }

  struct Pass {
    std::optional<int64_t> steps;
    std::optional<double> scale;
    std::optional<uint64_t> seed;
    std::string sampler, schedule;
    double denoise = 1.0;
    std::optional<std::string> prompt, negative;
  };

  Pass pass_of(const Node& node, bool controls) {
    Pass pass;
    pass.steps = graph_.whole(node, "steps");
    pass.scale = graph_.number(node, "cfg");
    pass.seed = graph_.seed(node, node.is("KSampler") ? "seed" : "noise_seed");
    pass.sampler = graph_.text(node, "sampler_name").value_or("");
    if (pass.sampler.ends_with("_gpu")) pass.sampler.resize(pass.sampler.size() - 4);
    pass.schedule = graph_.text(node, "scheduler").value_or("");
    if (pass.schedule == "ddim_uniform") pass.schedule = "DDIM";
    pass.denoise = std::clamp(graph_.number(node, "denoise").value_or(1.0), 0.0, 1.0);
    if (node.is("KSamplerAdvanced")) leave_parts(node, pass.steps.value_or(0));
    pass.prompt = words(node, "positive", controls);
    pass.negative = words(node, "negative", false);
    return pass;
  }

  void leave_parts(const Node& node, int64_t steps) {
    const auto start = graph_.whole(node, "start_at_step").value_or(0);
    const auto end = graph_.whole(node, "end_at_step").value_or(steps);
    if (start > 0 || end < steps) leave(like_, node.shown() + fmt::format(", steps {} to {}", start, end));
    if (graph_.text(node, "add_noise").value_or("enable") != "enable") leave(like_, node.shown() + " without noise");
  }

  void take_sampler_node(const Node& node) {
    const Node from = origin(node, "latent_image");
    if (from && (from.is("LatentUpscale") || from.is("LatentUpscaleBy")))
      return take_second(node, from, origin(from, "samples"));
    if (from && from.is("VAEEncode")) {
      const Node pixels = origin(from, "pixels");
      if (pixels && (pixels.is("ImageScaleBy") || pixels.is("ImageUpscaleWithModel")))
        return take_second(node, pixels, origin(pixels, "image"));
      if (pixels && is_sampler(pixels)) return take_second(node, from, pixels);
    }
    take_first(node, from);
  }

  // `node` draws over what `first` has drawn, enlarged by `scaler`.
  void take_second(const Node& node, const Node& scaler, const Node& first) {
    if (!first || !is_sampler(first)) {
      leave(like_, scaler.shown());
      return take_first(node, scaler);
    }
    const Pass pass = pass_of(node, false);
    const Node from = origin(first, "latent_image");
    take_first(first, from);
    Hires h{.steps = pass.steps, .strength = pass.denoise, .guidance = pass.scale};
    Request second;
    take_sampler(second, pass.sampler, pass.schedule, like_);
    h.sampler = second.sampler;
    h.schedule = second.schedule;
    if (!r_.prompts.empty() && pass.prompt != r_.prompts[0]) h.prompt = pass.prompt;
    if (pass.negative != r_.negative_prompt) h.negative_prompt = pass.negative;
    if (pass.seed && pass.seed != r_.seed) leave(like_, fmt::format("seed {} of the second pass", *pass.seed));
    take_scaler(scaler, h);
    r_.hires = h;
  }

  void take_scaler(const Node& scaler, Hires& h) {
    const std::string method = graph_.text(scaler, "upscale_method").value_or("nearest-exact");
    const bool latent = scaler.is("LatentUpscale") || scaler.is("LatentUpscaleBy");
    if (latent && (method == "nearest-exact" || method == "bicubic")) {
      h.upscaler = "latent-" + method;
    } else if (latent && method == "bilinear") {
      h.upscaler = "latent";
    } else if (scaler.is("ImageScaleBy") && (method == "lanczos" || method == "bicubic" || method == "bilinear")) {
      h.upscaler = method;
    } else if (scaler.is("ImageUpscaleWithModel")) {
      const Node model = graph_.source(scaler, "upscale_model");
      if (const auto name = graph_.text(model, "model_name")) h.upscaler = base_name(*name);
      leave(like_, scaler.shown() + ", whose scale is the model's");
    } else {
      leave(like_, scaler.shown());
    }
    if (const auto by = graph_.number(scaler, "scale_by")) h.scale = *by;
    const auto width = graph_.whole(scaler, "width");
    if (width && r_.width.value_or(0) > 0) h.scale = static_cast<double>(*width) / static_cast<double>(*r_.width);
  }

  void take_first(const Node& node, const Node& from) {
    const Pass pass = pass_of(node, true);
    r_.steps = pass.steps;
    r_.scale = pass.scale;
    r_.seed = pass.seed;
    if (!pass.sampler.empty()) take_sampler(r_, pass.sampler, pass.schedule, like_);
    if (pass.prompt) r_.prompts = {*pass.prompt};
    r_.negative_prompt = pass.negative;
    take_model(node);
    if (from && is_empty_latent(from)) {
      r_.width = graph_.whole(from, "width");
      r_.height = graph_.whole(from, "height");
      if (graph_.whole(from, "batch_size").value_or(1) > 1) leave(like_, "its place in a batch of several");
    } else if (from) {
      take_init(from, pass);
    } else {
      leave(like_, "what the first sampler begins from");
    }
  }

  void take_init(const Node& from, const Pass& pass) {
    Node at = from;
    if (at.is("SetLatentNoiseMask")) {
      take_mask(at);
      at = origin(at, "samples");
    }
    if (at && at.is("VAEEncodeForInpaint")) {
      take_mask(at);
      r_.mask_content = "nothing";
    }
    const Node image = at ? origin(at, "pixels") : Node();
    if (!image || !image.is("LoadImage")) return leave(like_, from.shown());
    r_.init = base_name(graph_.text(image, "image").value_or(""));
    r_.strength = pass.denoise;
    // ComfyUI runs all steps, of a schedule of more; the web UI's rule runs one more than the strength's part.
    const double of_more = pass.denoise > 0.0 ? static_cast<double>(r_.steps.value_or(0)) / pass.denoise : 0.0;
    if (!r_.steps || pass.denoise >= 1.0 || !(of_more >= 1.0 && of_more <= kMaxSteps)) return;
    r_.convention = "webui";
    r_.strength = (static_cast<double>(*r_.steps) - 0.5) / std::floor(of_more);
    r_.steps = static_cast<int64_t>(of_more);
  }

  void take_mask(const Node& node) {
    const Node mask = graph_.source(node, "mask");
    if (mask && mask.is("LoadImageMask") && graph_.text(mask, "channel").value_or("") != "alpha") {
      r_.mask = base_name(graph_.text(mask, "image").value_or(""));
    } else if (mask) {
      leave(like_, mask.shown() + " for a mask");
    }
  }

  // The text behind a conditioning; of several only the first.
  std::optional<std::string> words(const Node& node, std::string_view input, bool controls) {
    std::string from(input);
    Node at = node;
    for (int hops = 0; hops < kMostHops; ++hops) {
      at = graph_.source(at, from);
      if (!at) return std::nullopt;
      if (at.is("CLIPTextEncode")) {
        leave_clip_skip(at);
        return graph_.text(at, "text");
      }
      if (at.is("ControlNetApply") || at.is("ControlNetApplyAdvanced")) {
        if (controls) take_control(at);
        from = at.is("ControlNetApply") ? "conditioning" : from == "negative" ? "negative" : "positive";
        continue;
      }
      leave(like_, at.shown());
      from = "conditioning";
      for (const char* name : {"conditioning_1", "conditioning_to", "positive"}) {
        if (!graph_.source(at, from)) from = name;
      }
    }
    return std::nullopt;
  }

  void leave_clip_skip(const Node& encoder) {
    Node at = graph_.source(encoder, "clip");
    for (int hops = 0; at && hops < kMostHops; ++hops) {
      const auto layer = at.is("CLIPSetLastLayer") ? graph_.whole(at, "stop_at_clip_layer") : std::nullopt;
      if (layer && *layer != -1) leave(like_, fmt::format("Clip skip {}", -*layer));
      at = graph_.source(at, "clip");
    }
  }

  void take_control(const Node& node) {
    const Node net = graph_.source(node, "control_net");
    const auto name = graph_.text(net, "control_net_name");
    Node image = graph_.source(node, "image");
    std::optional<std::string> preprocess;
    if (image && image.is("Canny")) {
      preprocess = "canny";
      image = graph_.source(image, "image");
    }
    if (!name || !image || !image.is("LoadImage")) return leave(like_, node.shown());
    r_.controls.insert(r_.controls.begin(), {.model = base_name(*name),
                                             .image = base_name(graph_.text(image, "image").value_or("")),
                                             .weight = graph_.number(node, "strength").value_or(1.0),
                                             .start = graph_.number(node, "start_percent").value_or(0.0),
                                             .end = graph_.number(node, "end_percent").value_or(1.0),
                                             .preprocess = preprocess});
    like_.control_hashes.insert(like_.control_hashes.begin(), "");
  }

  void take_model(const Node& node) {
    Node at = graph_.source(node, "model");
    for (int hops = 0; at && hops < kMostHops; ++hops) {
      if (const auto name = graph_.text(at, "ckpt_name")) {
        like_.model = base_name(*name);
        take_vae();
        return;
      }
      const auto lora = graph_.text(at, "lora_name");
      if (lora) {
        take_lora(at, *lora);
      } else {
        leave(like_, at.shown());
      }
      at = graph_.source(at, "model");
    }
    take_vae();
  }

  void take_lora(const Node& node, const std::string& name) {
    const double unet = graph_.number(node, "strength_model").value_or(1.0);
    const double text = graph_.number(node, "strength_clip").value_or(node.is("LoraLoaderModelOnly") ? 0.0 : unet);
    Lora lora{.file = base_name(name), .weight = unet};
    if (text != unet) lora.unet = unet, lora.text = text;
    r_.loras.insert(r_.loras.begin(), lora);
  }

  void take_vae() {
    for (const Node& node : graph_.nodes()) {
      const auto name = node.is("VAELoader") ? graph_.text(node, "vae_name") : std::nullopt;
      if (name) like_.vae = base_name(*name);
    }
  }

  Graph graph_;
  Like& like_;
  Request& r_;
};

}  // namespace

void take_comfy_graph(const Json& graph, Like& like) { ComfyReader(graph, like)(); }

}  // namespace sumi::engine
