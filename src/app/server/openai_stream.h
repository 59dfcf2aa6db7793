// A picture as it comes into being, in the events of OpenAI's images API (Server-Sent Events).
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "app/server/background.h"
#include "app/server/http.h"
#include "app/server/jobs.h"
#include "app/server/openai_reply.h"
#include "app/server/waiting.h"

namespace sumi::app {

// Which steps' pictures are shown: `wanted` of them, spread evenly.
class ShownSteps {
 public:
  explicit ShownSteps(int64_t wanted) : wanted_(wanted) {}
  // Whether the picture after `done` of `steps` steps is to be shown; then it counts as shown. One that was missed is
  // made up for by the next.
  bool take(int64_t done, int64_t steps);

 private:
  int64_t wanted_, shown_ = 0;
};

// Answers one exchange, from the job's submission on: PREFIX.partial_image (as many as were asked for, if the job has
// so many steps), PREFIX.completed; "error" where something goes wrong after the stream has begun. It begins with the
// job's first step, or after 15 s: a failure before that has its own status. The job is cancelled when the client goes.
class OpenaiStream : public std::enable_shared_from_this<OpenaiStream> {
 public:
  // `prefix`: "image_generation" or "image_edit". `jobs` must outlive the exchange. The finished picture is encoded in
  // `background`, which must end before `jobs` does.
  OpenaiStream(std::shared_ptr<HttpExchange> exchange, Jobs& jobs, Background& background, After after,
               OpenaiRequest asked, std::string prefix);

  // Throws as Jobs::submit, and has answered nothing then.
  void begin();

 private:
  void take(const JobEvent& event);  // on any thread, with the jobs' locks held
  // On the server's thread:
  void handle_all();
  void handle(const JobEvent& event);
  void send_head();
  void send(const std::string& name, const nlohmann::ordered_json& data);
  void send_preview(const JobEvent& event);
  void encode_picture(const JobView& view);
  void send_picture(const nlohmann::ordered_json& data);
  void send_error(const OpenaiError& error);
  void finish();
  void beat();
  // On any thread:
  nlohmann::ordered_json picture_json(const JobView& view, const std::string& png) const;
  nlohmann::ordered_json event_json(std::string_view name, const std::string& file, const std::string& size) const;

  const std::shared_ptr<HttpExchange> exchange_;
  Jobs& jobs_;
  Background& background_;
  const After after_;
  OpenaiRequest asked_;  // without its submission once begun
  const std::string prefix_;

  std::string id_;
  std::unique_ptr<Jobs::Watch> watch_;
  bool has_head_ = false, over_ = false;
  int64_t partial_images_ = 0;

  std::mutex mutex_;  // of what follows; the jobs' locks may be held when it is taken, none is taken under it
  std::deque<JobEvent> events_;
  ShownSteps shown_;
  int64_t done_ = 0, steps_ = 0;
};

}  // namespace sumi::app
