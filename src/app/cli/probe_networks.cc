// sumi probe text, unet, vae-decode, vae-encode: one network on given numbers.
#include <memory>

#include "app/cli/arguments.h"
#include "app/cli/command.h"
#include "app/cli/common.h"
#include "app/cli/probe_io.h"
#include "base/check.h"
#include "models/embedding_file.h"
#include "ops/layout.h"

namespace sumi::app {
namespace {

struct Probe {
  EngineFlags engine;
  ModelChoice model;
  std::string in, out;
  std::vector<std::string> loras, embeddings;
};

// Reads inputs from `in`, runs the model, adds the results to `out`.
using Work = void (*)(const models::StableDiffusion& model, const Tensor& added, const ProbeInput& in,
                      ProbeOutput& out);

void run_text(const models::StableDiffusion& model, const Tensor& added, const ProbeInput& in, ProbeOutput& out) {
  models::TextQuery query;
  if (added) query.added = {added};
  for (const std::string& ending : in.endings("text_ids")) {
    out.add("text_hidden" + ending, model.encode_text(in.ids("text_ids" + ending, 2), query).hidden);
  }
}

void run_unet(const models::StableDiffusion& model, const Tensor&, const ProbeInput& in, ProbeOutput& out) {
  for (const std::string& ending : in.endings("x")) {
    const Tensor x = in.image("x" + ending).to(model.device());
    const std::string context = in.resolve("context", ending);
    models::Conditioning conditioning;
    if (in.has(context)) conditioning.sequence = in.floats(context, 3).to(model.device());
    out.add_image("eps" + ending, model.predict(x, in.numbers(in.resolve("t", ending), x.dim(0)), conditioning));
  }
}

void run_decode(const models::StableDiffusion& model, const Tensor&, const ProbeInput& in, ProbeOutput& out) {
  for (const std::string& ending : in.endings("z")) {
    out.add_image("image" + ending, model.decode_unscaled(in.image("z" + ending).to(model.device())));
  }
}

void run_encode(const models::StableDiffusion& model, const Tensor&, const ProbeInput& in, ProbeOutput& out) {
  for (const std::string& ending : in.endings("image")) {
    out.add_image("moments" + ending, model.encode(in.image("image" + ending).to(model.device())));
  }
}

// The vectors of all files, in order; undefined: none.
Tensor read_rows(const std::vector<std::string>& files, int64_t width) {
  std::vector<Tensor> rows;
  for (const std::string& file : files) {
    for (const models::Embedding& embedding : models::read_embeddings(*io::open_checkpoint(file), width))
      rows.push_back(embedding.vectors);
  }
  return rows.empty() ? Tensor() : concat_rows(rows);
}

int run(const Probe& probe, models::LoadOptions parts, Work work) {
  probe.engine.apply();
  ProbeOutput out(probe.out);
  const ProbeInput in(probe.in);
  const engine::OpenModel opened = engine::open_model(probe.model.options(probe.engine));
  const models::StableDiffusion model = engine::load_model(opened, parts);
  nn::Adapters adapters;
  for (const std::string& argument : probe.loras) {
    const Lora lora = parse_lora(argument);
    model.adapt(adapters, *io::open_checkpoint(lora.file),
                {.unet = lora.unet.value_or(lora.weight), .text = lora.text.value_or(lora.weight)});
  }
  adapters.finish();
  {
    const nn::AdaptersScope adapted(&adapters);
    work(model, read_rows(probe.embeddings, opened.config.text.hidden_size), in, out);
  }
  out.write();
  return 0;
}

std::function<std::function<int()>(CLI::App&)> probing(models::LoadOptions parts, Work work) {
  return [parts, work](CLI::App& app) -> std::function<int()> {
    auto probe = std::make_shared<Probe>();
    add_model_options(app, probe->model, false);
    app.add_option("--in", probe->in, "Inputs (safetensors, NCHW); names may end in digits: x0, t0, … x1, t1, …")
        ->required()
        ->type_name("FILE");
    app.add_option("--out", probe->out, "Where the outputs go (safetensors, NCHW, float32)")
        ->required()
        ->type_name("FILE");
    if (!parts.autoencoder)
      add_repeatable(app, "--lora", probe->loras, "FILE[:WEIGHT]",
                     "LoRA file of any kind, and its weight [1]; may be given several times");
    if (parts.text)
      add_repeatable(
          app, "--embedding", probe->embeddings, "FILE",
          "Embedding whose vectors the ids from the vocabulary's end on stand for; may be given several times");
    add_engine_options(app, probe->engine);
    add_precision_option(app, probe->engine);
    return [probe, parts, work] { return run(*probe, parts, work); };
  };
}

const models::LoadOptions kText{.text = true, .unet = false, .autoencoder = false};
const models::LoadOptions kUnet{.text = false, .unet = true, .autoencoder = false};
const models::LoadOptions kDecoder{.text = false, .unet = false, .encoder = false};
const models::LoadOptions kEncoder{.text = false, .unet = false, .decoder = false};

const CommandRegistration kTextRegistration({"probe text", "Text encoder: text_ids [B,77] -> text_hidden [B,77,D]", "",
                                             probing(kText, run_text)});
const CommandRegistration kUnetRegistration({"probe unet", "UNet: x [B,C,h,w], t [B], context [B,T,D] -> eps", "",
                                             probing(kUnet, run_unet)});
const CommandRegistration kDecodeRegistration({"probe vae-decode", "Decoder: z [B,C,h,w], not scaled -> image", "",
                                               probing(kDecoder, run_decode)});
const CommandRegistration kEncodeRegistration({"probe vae-encode", "Encoder: image [B,3,H,W] -> moments", "",
                                               probing(kEncoder, run_encode)});

}  // namespace
}  // namespace sumi::app
