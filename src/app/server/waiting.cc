#include "app/server/waiting.h"

#include <algorithm>
#include <exception>
#include <list>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "app/server/http_text.h"
#include "app/server/router.h"
#include "base/check.h"
#include "engine/given.h"

namespace sumi::app {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kPatience{15'000};
constexpr int kConflict = 409;
constexpr size_t kMostAskers = 16;  // of one job

// Whoever asks the same again. The body's hash stands for it, so that large ones are not kept twice.
std::string key_of(const HttpRequest& request, const Submission& submission) {
  return fmt::format("{}\n{}\n{}\n{}\n{} {}\n{} {}", submission.model, submission.vae,
                     submission.request.rng.value_or(""), request.peer, request.method, request.path,
                     request.body.size(), engine::hash_of(std::as_bytes(std::span(request.body))));
}

HttpReply reply_of(const Question& question, const JobView& view) {
  const auto refuse = [&](int status, const std::string& sentence) {
    return question.refuse ? question.refuse(status, sentence) : refusal(status, sentence);
  };
  try {
    switch (view.state) {
      case JobState::kDone: return question.answer(view);
      case JobState::kCancelled:
        return question.cancelled ? question.cancelled(view) : refuse(kConflict, "the job was cancelled");
      default: return refuse(status_of(view.error_kind), view.error);
    }
  } catch (const Error& error) {
    return refuse(status_of(error.kind()), error.what());
  } catch (const std::exception& error) {
    return refuse(500, error.what());
  }
}

}  // namespace

// Everything here runs on the server's thread.
struct Waiting::Impl : std::enable_shared_from_this<Waiting::Impl> {
  struct Asker {
    std::shared_ptr<HttpExchange> exchange;
    Question question;
  };
  struct Group {
    std::string key, id;
    std::unique_ptr<Jobs::Watch> watch;
    std::list<Asker> askers;
    bool valid = false;  // heads have gone out
  };

  Impl(Jobs& all, After run_after) : jobs(all), after(std::move(run_after)) {}

  void ask(const std::shared_ptr<HttpExchange>& exchange, Question question) {
    std::string key = question.repeats ? key_of(exchange->request(), question.submission) : std::string();
    const auto known = std::find_if(groups.begin(), groups.end(),
                                    [&](const auto& group) { return question.repeats && group->key == key; });
    const bool joins = known != groups.end();
    if (joins && (*known)->askers.size() >= kMostAskers)
      throw QueueIsFull("too many wait for this very picture already; try again later");
    const std::shared_ptr<Group> group = joins ? *known : std::make_shared<Group>();
    if (!joins) {
      group->id = jobs.submit(std::move(question.submission));
      group->key = std::move(key);
    }
    question.submission = {};
    const auto asker = group->askers.insert(group->askers.end(), {exchange, std::move(question)});
    if (group->valid) begin(*asker);
    exchange->on_gone([self = weak_from_this(), weak = std::weak_ptr(group), gone = exchange.get()] {
      const auto impl = self.lock();
      const auto of = weak.lock();
      if (impl && of) impl->leave(of, gone);
    });
    if (joins) return;
    groups.push_back(group);
    watch(group);
    beat(group);
  }

  // Events come on other threads, with locks held: what follows from them is done here.
  void watch(const std::shared_ptr<Group>& group) {
    group->watch = jobs.watch(
        group->id, 0, [self = weak_from_this(), weak = std::weak_ptr(group), run_after = after](const JobEvent& event) {
          const bool over = ends(event);
          if (!over && event.name != "step") return;
          run_after(milliseconds(0), [self, weak, over] {
            const auto impl = self.lock();
            const auto of = weak.lock();
            if (!impl || !of) return;
            over ? impl->finish(of) : impl->be_valid(*of);
          });
        });
    // Nothing comes any more of a job that has been forgotten.
    if (!group->watch) finish(group);
  }

  static void begin(const Asker& asker) { asker.exchange->begin({.headers = {{"Cache-Control", "no-store"}}}); }

  void be_valid(Group& group) {
    if (std::exchange(group.valid, true)) return;
    for (const Asker& asker : group.askers) begin(asker);
  }

  void beat(const std::shared_ptr<Group>& group) {
    after(kPatience, [self = weak_from_this(), weak = std::weak_ptr(group)] {
      const auto impl = self.lock();
      const auto of = weak.lock();
      if (!impl || !of || !of->watch) return;
      impl->be_valid(*of);
      for (const Asker& asker : of->askers) asker.exchange->write(" ");
      impl->beat(of);
    });
  }

  void finish(const std::shared_ptr<Group>& group) {
    groups.remove(group);
    group->watch.reset();
    const auto view = jobs.view(group->id);
    for (Asker& asker : std::exchange(group->askers, {})) {
      if (!view) {
        send(asker.exchange, group->valid, refusal(500, "the job has been forgotten already"));
        continue;
      }
      Background* const background = asker.question.background;
      const auto answer = [exchange = asker.exchange, question = asker.question, view = *view, valid = group->valid,
                           run_after = after, there = background != nullptr] {
        HttpReply reply = reply_of(question, view);
        if (!there) return send(exchange, valid, std::move(reply));
        run_after(milliseconds(0), [exchange, valid, reply] { send(exchange, valid, reply); });
      };
      if (background == nullptr || !background->run(answer)) answer();
    }
  }

  static void send(const std::shared_ptr<HttpExchange>& exchange, bool valid, HttpReply reply) {
    if (!valid) return exchange->reply(std::move(reply));
    exchange->write(std::move(reply.body));
    exchange->end();
  }

  void leave(const std::shared_ptr<Group>& group, const HttpExchange* gone) {
    const size_t before = group->askers.size();
    group->askers.remove_if([&](const Asker& asker) { return asker.exchange.get() == gone; });
    if (before == 0 || !group->askers.empty()) return;
    groups.remove(group);
    group->watch.reset();
    jobs.cancel(group->id);
  }

  std::string current(const std::string& peer) const {
    std::string best;
    int best_rank = 0;
    for (const auto& group : groups) {
      const bool own = std::any_of(group->askers.begin(), group->askers.end(),
                                   [&](const Asker& asker) { return asker.exchange->request().peer == peer; });
      const int rank = 1 + (own ? 2 : 0) + (jobs.state(group->id) == JobState::kRunning ? 1 : 0);
      if (rank <= best_rank) continue;
      best = group->id;
      best_rank = rank;
    }
    return best;
  }

  Jobs& jobs;
  const After after;
  std::list<std::shared_ptr<Group>> groups;  // the oldest first
};

Waiting::Waiting(Jobs& jobs, After after) : impl_(std::make_shared<Impl>(jobs, std::move(after))) {}
Waiting::~Waiting() = default;

void Waiting::ask(const std::shared_ptr<HttpExchange>& exchange, Question question) {
  impl_->ask(exchange, std::move(question));
}

std::string Waiting::current(const std::string& peer) const { return impl_->current(peer); }

}  // namespace sumi::app
