// What the handles of the public interface hold.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/parallel.h"
#include "engine/budget.h"
#include "engine/memory_plan.h"
#include "engine/open.h"
#include "engine/preview.h"
#include "engine/resolve.h"
#include "engine/safety.h"
#include "sumi/engine.h"

namespace sumi {
namespace engine {

// What the models of an engine share.
struct Shared {
  explicit Shared(const EngineOptions& options);

  // An open LoRA file, shared by the jobs that use it.
  std::shared_ptr<const io::Checkpoint> open_lora(const std::string& file);

  EngineOptions options;
  ThreadPool pool;
  Budget budget;
  SafetyCheckers safety;

 private:
  std::mutex mutex_;
  std::map<std::string, std::weak_ptr<const io::Checkpoint>> loras_;
};

}  // namespace engine

struct Model::Impl {
  Impl(std::shared_ptr<engine::Shared> shared, const ModelOptions& options, std::string name);

  // Throws Error(kNoInput) if none was found when the model was opened.
  const text::ClipTokenizer& tokenizer() const;
  // The networks, loaded by the first call, whose thread gets the warnings. Others wait meanwhile; throws
  // Error(kCancelled) soon after `cancel` is set.
  const models::StableDiffusion& networks(const std::atomic<bool>& cancel);
  // latent [1,h,w,C] as a job shows it.
  Image preview(const Tensor& latent, const std::atomic<bool>& cancel);
  void add_warnings(std::vector<std::string> more);
  std::vector<std::string> all_warnings();
  // Memory kept for reuse is released, and so are the pages of the networks' weights if no other job runs: before a job
  // encodes pictures (loading has looked at all weights) and after, since the denoiser needs neither.
  void make_room();
  // One job less runs the denoiser: if it was the last, the pages of its weights are released.
  void end_denoising();

  std::shared_ptr<engine::Shared> shared;
  std::string name;
  ModelOptions options;
  engine::OpenModel opened;
  std::optional<engine::PreviewDecoder> preview_decoder;  // none: previews are linear estimates
  std::atomic<bool> loaded{false};
  std::atomic<int> denoising{0};

 private:
  const engine::PreviewMap& preview_map(const std::atomic<bool>& cancel);

  std::optional<text::ClipTokenizer> tokenizer_;
  std::string no_tokenizer_;  // why there is none
  std::mutex loading_, fitting_;
  std::mutex saying_;  // of the warnings
  std::vector<std::string> warnings_;
  std::optional<engine::Budget::Share> weights_;
  std::optional<models::StableDiffusion> networks_;
  std::optional<engine::PreviewMap> preview_map_;
};

struct CheckedRequest::Impl {
  engine::ParsedRequest parsed;
};

struct Job::Impl {
  Impl(std::shared_ptr<Model::Impl> owner, const engine::ParsedRequest& request);
  void run(const Hooks& hooks);
  void check_files() const;

  std::shared_ptr<Model::Impl> model;
  std::vector<std::string> warnings;  // of resolving
  engine::ResolvedJob job;
  std::shared_ptr<const engine::Safety> safety;  // null: none was asked for
  engine::MemoryPlan plan;
  std::atomic<bool> cancelled{false}, has_run{false};
};

struct Engine::Impl {
  explicit Impl(const EngineOptions& options) : shared(std::make_shared<engine::Shared>(options)) {}

  std::shared_ptr<engine::Shared> shared;
  std::mutex mutex;
  std::map<std::string, std::weak_ptr<Model::Impl>> models;
};

}  // namespace sumi
