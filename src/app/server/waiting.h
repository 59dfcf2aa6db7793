// Answers that wait for a job: for clients that ask for a picture and expect it in the reply to that very request.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "app/server/background.h"
#include "app/server/http.h"
#include "app/server/jobs.h"

namespace sumi::app {

// Runs the call on the server's thread after that time.
using After = std::function<void(std::chrono::milliseconds time, std::function<void()> call)>;

struct Question {
  Submission submission;
  // Whether the same request means the same picture: it names its seed. Others are drawn for each that asks.
  bool repeats = false;
  // Where `answer` runs, for one that takes time; null: on the server's thread. It must end before this.
  Background* background = nullptr;
  // The reply for a job that is done. Runs once for each that asks; what it throws is answered as a router would.
  std::function<HttpReply(const JobView&)> answer;
  // The reply for a job that someone has cancelled, with the pictures that it had finished; empty: `refuse` with 409.
  std::function<HttpReply(const JobView&)> cancelled = {};
  // The reply for what went wrong; empty: `refusal`.
  std::function<HttpReply(int status, const std::string& sentence)> refuse = {};
};

// Slow machines are normal. The head of a reply goes out once the request is known to be valid (the job's first step),
// or after 15 s; white space follows every 15 s, which JSON allows before a value, so that nobody on the way takes the
// connection for dead. A failure before that has its own status; one after it is a 200 with the error as its body.
//
// Clients give up and ask again: whoever sends the same bytes to the same path while a job runs for them waits for that
// job, if they name its seed. When the last client of a job has gone, the job is cancelled, within a step.
class Waiting {
 public:
  Waiting(Jobs& jobs, After after);
  ~Waiting();

  // Answers the exchange, later. Throws as Jobs::submit.
  void ask(const std::shared_ptr<HttpExchange>& exchange, Question question);
  // The job that this client waits for now (whose state is running, else the oldest); one of another client only where
  // it waits for none; empty: nobody waits. For progress and interrupt, which name none.
  std::string current(const std::string& peer) const;

  struct Impl;

 private:
  std::shared_ptr<Impl> impl_;
};

}  // namespace sumi::app
