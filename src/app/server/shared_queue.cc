#include "app/server/shared_queue.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>

#include "app/server/submission.h"
#include "base/base64.h"
#include "base/check.h"
#include "base/fnv1a.h"

namespace sumi::app {
namespace {

using Json = nlohmann::ordered_json;
using Words = std::vector<std::string>;

constexpr const char* kGroup = "workers";

std::string job_key(const std::string& id) { return "sumi:job:" + id; }
std::string picture_key(const std::string& id, int64_t number) { return fmt::format("sumi:picture:{}:{}", id, number); }
std::string worker_key(const std::string& name) { return "sumi:worker:" + name; }

std::string text_of(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

std::string stream_of(const std::string& model, int priority, const std::string& version,
                      const std::string& instructions) {
  std::string key = fmt::format("sumi:queue:{}:{}", model, priority > 0 ? 0 : priority == 0 ? 1 : 2);
  if (!version.empty() || !instructions.empty()) key += fmt::format(":{}/{}", version, instructions);
  return key;
}

JobState state_of(const std::string& name) {
  for (const JobState state :
       {JobState::kQueued, JobState::kRunning, JobState::kDone, JobState::kFailed, JobState::kCancelled}) {
    if (name == name_of(state)) return state;
  }
  return JobState::kQueued;
}

std::map<std::string, std::string> map_of(const RedisReply& reply) {
  std::map<std::string, std::string> fields;
  for (size_t i = 0; i + 1 < reply.items.size(); i += 2) fields[reply.items[i].text] = reply.items[i + 1].text;
  return fields;
}

double number_of(const std::string& text) { return text.empty() ? 0.0 : std::strtod(text.c_str(), nullptr); }

std::vector<KeptPicture> pictures_of(const std::string& text) {
  std::vector<KeptPicture> pictures;
  if (text.empty()) return pictures;
  for (const Json& p : Json::parse(text))
    pictures.push_back({.number = p.at("number"),
                        .seed = p.at("seed"),
                        .width = p.at("width"),
                        .height = p.at("height"),
                        .prompt = p.at("prompt"),
                        .parameters = p.at("parameters"),
                        .flagged = p.at("flagged")});
  return pictures;
}

// Scripts run whole or not at all. KEYS and ARGV are named in their first lines.

// A job of that id is there already when the connection broke before the answer came.
constexpr const char* kSubmit = R"(
local job, jobs, open, stream = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local id, created, most = ARGV[1], ARGV[2], tonumber(ARGV[3])
if redis.call('EXISTS', job) == 1 then return 1 end
if redis.call('ZCARD', open) >= most then return 0 end
for i = 4, #ARGV, 2 do redis.call('HSET', job, ARGV[i], ARGV[i + 1]) end
redis.call('ZADD', jobs, created, id)
redis.call('ZADD', open, created, id)
local entry = redis.call('XADD', stream, '*', 'id', id)
redis.call('HSET', job, 'stream', stream, 'entry', entry)
redis.call('PUBLISH', 'sumi:work', '')
redis.call('PUBLISH', 'sumi:events', cjson.encode({id = id}))
return 1
)";

// What runs on a worker that has ended is ended here: nobody else would.
constexpr const char* kCancel = R"(
local job, open, cancel = KEYS[1], KEYS[2], KEYS[3]
local id, now, kept, claims_after = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local state = redis.call('HGET', job, 'state')
if not state then return 'unknown' end
if state ~= 'queued' and state ~= 'running' then return 'over' end
redis.call('SET', cancel, '1', 'EX', kept)
local worker = redis.call('HGET', job, 'worker')
local lives = state == 'running' and worker and redis.call('EXISTS', 'sumi:worker:' .. worker) == 1
if not lives then
  redis.call('HSET', job, 'state', 'cancelled', 'finished', now)
  redis.call('ZREM', open, id)
  redis.call('EXPIRE', job, kept)
  local stream, entry = redis.call('HGET', job, 'stream'), redis.call('HGET', job, 'entry')
  if stream and entry then
    redis.pcall('XACK', stream, 'workers', entry)
    redis.call('XDEL', stream, entry)
  end
end
redis.call('PUBLISH', 'sumi:cancels', id)
redis.call('PUBLISH', 'sumi:events', cjson.encode({id = id}))
return 'yes'
)";

constexpr const char* kBegin = R"(
local job = KEYS[1]
local id, worker, now, stream, entry = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local state = redis.call('HGET', job, 'state')
if state ~= 'queued' and state ~= 'running' then
  redis.call('XACK', stream, 'workers', entry)
  redis.call('XDEL', stream, entry)
  return 0
end
redis.call('HSET', job, 'state', 'running', 'worker', worker, 'started', now, 'done', '0', 'steps', '0')
redis.call('PUBLISH', 'sumi:events', cjson.encode({id = id}))
return 1
)";

constexpr const char* kEnd = R"(
local job, open = KEYS[1], KEYS[2]
local id, state, error, kind, now, kept, stream, entry = unpack(ARGV)
redis.pcall('XACK', stream, 'workers', entry)
redis.call('XDEL', stream, entry)
local before = redis.call('HGET', job, 'state')
if before ~= 'queued' and before ~= 'running' then return 0 end
redis.call('HSET', job, 'state', state, 'error', error, 'error_kind', kind, 'finished', now)
redis.call('HDEL', job, 'submission', 'worker')
redis.call('ZREM', open, id)
redis.call('EXPIRE', job, kept)
redis.call('PUBLISH', 'sumi:events', cjson.encode({id = id}))
return 1
)";

// As fields of a job that is not over.
constexpr const char* kChange = R"(
local job, id = KEYS[1], ARGV[1]
local state = redis.call('HGET', job, 'state')
if state ~= 'queued' and state ~= 'running' then return 0 end
for i = 2, #ARGV, 2 do redis.call('HSET', job, ARGV[i], ARGV[i + 1]) end
redis.call('PUBLISH', 'sumi:events', cjson.encode({id = id}))
return 1
)";

// Adds the entry anew: what was taken is as if it had not been.
constexpr const char* kGiveBack = R"(
local job, stream = KEYS[1], KEYS[2]
local id, entry = ARGV[1], ARGV[2]
redis.call('XACK', stream, 'workers', entry)
redis.call('XDEL', stream, entry)
if redis.call('HGET', job, 'state') ~= 'running' then return 0 end
local new = redis.call('XADD', stream, '*', 'id', id)
redis.call('HSET', job, 'state', 'queued', 'entry', new)
redis.call('HDEL', job, 'worker')
redis.call('PUBLISH', 'sumi:work', '')
redis.call('PUBLISH', 'sumi:events', cjson.encode({id = id}))
return 1
)";

// Entries whose worker says nothing any more; the first of them goes to the one that asks.
constexpr const char* kClaim = R"(
local stream, worker = KEYS[1], ARGV[1]
local pending = redis.pcall('XPENDING', stream, 'workers', '-', '+', '64')
if pending.err then return false end
for _, one in ipairs(pending) do
  if redis.call('EXISTS', 'sumi:worker:' .. one[2]) == 0 then
    local claimed = redis.call('XCLAIM', stream, 'workers', worker, '0', one[1])
    if claimed[1] and claimed[1][2] then return {one[1], claimed[1][2][2], one[4] + 1} end
    redis.call('XACK', stream, 'workers', one[1])
  end
end
return false
)";

}  // namespace

std::string to_text(const SharedEvent& event) {
  Json json{{"id", event.id}};
  if (event.step) json["step"] = {event.step->first, event.step->second};
  if (event.preview) {
    json["number"] = event.preview->first;
    json["png"] = base64_of(std::as_bytes(std::span(event.preview->second)));
  }
  return text_of(json);
}

std::optional<SharedEvent> event_of(const std::string& text) {
  try {
    const Json json = Json::parse(text);
    SharedEvent event{.id = json.at("id")};
    if (json.contains("step")) event.step = {json["step"].at(0).get<int64_t>(), json["step"].at(1).get<int64_t>()};
    if (json.contains("png")) {
      const auto bytes = from_base64(json["png"].get<std::string>());
      if (!bytes) return std::nullopt;
      event.preview = {json.at("number").get<int64_t>(),
                       std::string(reinterpret_cast<const char*>(bytes->data()), bytes->size())};
    }
    return event;
  } catch (const Json::exception&) {
    return std::nullopt;
  }
}

std::string pictures_json(const std::vector<KeptPicture>& pictures) {
  Json list = Json::array();
  for (const KeptPicture& p : pictures)
    list.push_back({{"number", p.number},
                    {"seed", p.seed},
                    {"width", p.width},
                    {"height", p.height},
                    {"prompt", p.prompt},
                    {"parameters", p.parameters},
                    {"flagged", p.flagged}});
  return text_of(list);
}

std::map<std::string, std::string> fields_of(const JobView& view) {
  return {{"state", name_of(view.state)},
          {"model", view.model},
          {"vae", view.vae},
          {"client", view.client},
          {"priority", std::to_string(view.priority)},
          {"created", fmt::format("{:.6f}", view.created)},
          {"request", view.request},
          {"upscaling", view.upscaling ? "1" : "0"},
          {"pictures", pictures_json(view.pictures)}};
}

std::string result_hash(const Submission& submission, const std::string& model, const Identity& identity) {
  Submission common = submission;
  common.model = model;
  common.client.clear();
  common.priority = 0;
  common.previews = false;
  const std::string text = to_json(common) + "\n" + identity.version + "\n" + identity.instructions;
  Fnv1a hash;
  hash.add(std::as_bytes(std::span(text)));
  return hash.hex();
}

bool SharedQueue::submit(const SharedJob& job, const Submission& s, int64_t most_open) {
  const std::string& id = job.view.id;
  const std::string stream = stream_of(job.view.model, s.priority, s.version, s.instructions);
  Words words{"EVAL",
              kSubmit,
              "4",
              job_key(id),
              "sumi:jobs",
              "sumi:open",
              stream,
              id,
              fmt::format("{:.6f}", job.view.created),
              std::to_string(most_open),
              "submission",
              job.submission};
  for (const auto& [name, value] : fields_of(job.view)) words.insert(words.end(), {name, value});
  return redis_.call(words).integer == 1;
}

std::optional<SharedJob> SharedQueue::job(const std::string& id) {
  auto fields = map_of(redis_.call({"HGETALL", job_key(id)}));
  if (!fields.contains("state")) return std::nullopt;
  SharedJob job{.submission = fields["submission"]};
  job.view = {.id = id,
              .model = fields["model"],
              .vae = fields["vae"],
              .client = fields["client"],
              .priority = static_cast<int>(number_of(fields["priority"])),
              .state = state_of(fields["state"]),
              .done = static_cast<int64_t>(number_of(fields["done"])),
              .steps = static_cast<int64_t>(number_of(fields["steps"])),
              .created = number_of(fields["created"]),
              .started = number_of(fields["started"]),
              .finished = number_of(fields["finished"]),
              .error = fields["error"],
              .error_kind = static_cast<ErrorKind>(static_cast<int>(number_of(fields["error_kind"]))),
              .request = fields["request"].empty() ? "{}" : fields["request"],
              .settings = fields["settings"],
              .upscaling = fields["upscaling"] == "1",
              .pictures = pictures_of(fields["pictures"])};
  if (!fields["warnings"].empty()) job.view.warnings = Json::parse(fields["warnings"]).get<std::vector<std::string>>();
  return job;
}

std::vector<std::string> SharedQueue::jobs(int64_t most) {
  std::vector<std::string> ids;
  for (const RedisReply& item : redis_.call({"ZRANGE", "sumi:jobs", std::to_string(-most), "-1"}).items)
    ids.push_back(item.text);
  return ids;
}

std::vector<std::string> SharedQueue::open_jobs() {
  std::vector<std::string> ids;
  for (const RedisReply& item : redis_.call({"ZRANGE", "sumi:open", "0", "-1"}).items) ids.push_back(item.text);
  return ids;
}

namespace {
std::string now_text() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return fmt::format("{:.6f}", std::chrono::duration<double>(now).count());
}
}  // namespace

Jobs::Cancelled SharedQueue::cancel(const std::string& id) {
  const std::string answer = redis_
                                 .call({"EVAL", kCancel, "3", job_key(id), "sumi:open", "sumi:cancel:" + id, id,
                                        now_text(), std::to_string(options_.results.count())})
                                 .text;
  return answer == "unknown" ? Jobs::Cancelled::kUnknown
         : answer == "over"  ? Jobs::Cancelled::kOver
                             : Jobs::Cancelled::kYes;
}

bool SharedQueue::is_cancelled(const std::string& id) {
  return redis_.call({"EXISTS", "sumi:cancel:" + id}).integer == 1;
}

bool SharedQueue::forget(const std::string& id) {
  const auto known = job(id);
  if (!known || !is_over(known->view.state)) return false;
  Words words{"DEL", job_key(id), "sumi:cancel:" + id};
  for (const KeptPicture& picture : known->view.pictures) words.push_back(picture_key(id, picture.number));
  redis_.call(words);
  redis_.call({"ZREM", "sumi:jobs", id});
  tell({.id = id});
  return true;
}

bool SharedQueue::forget_picture(const JobView& changed, int64_t number) {
  redis_.call({"HSET", job_key(changed.id), "pictures", pictures_json(changed.pictures)});
  const bool was = redis_.call({"DEL", picture_key(changed.id, number)}).integer == 1;
  tell({.id = changed.id});
  return was;
}

void SharedQueue::beat(const std::string& worker, const Identity& identity) {
  redis_.call({"SET", worker_key(worker),
               text_of({{"version", identity.version}, {"instructions", identity.instructions}}), "PX",
               std::to_string(options_.heartbeat.count())});
}

void SharedQueue::leave(const std::string& worker) { redis_.call({"DEL", worker_key(worker)}); }

std::vector<std::string> SharedQueue::streams(const std::vector<std::string>& models, const Identity& own) const {
  std::vector<std::string> streams;
  for (const int priority : {1, 0, -1}) {
    for (const std::string& model : models) {
      streams.push_back(stream_of(model, priority, own.version, own.instructions));
      streams.push_back(stream_of(model, priority, own.version, ""));
      streams.push_back(stream_of(model, priority, "", own.instructions));
      streams.push_back(stream_of(model, priority, "", ""));
    }
  }
  return streams;
}

void SharedQueue::make_groups(const std::vector<std::string>& streams) {
  for (const std::string& stream : streams) {
    try {
      redis_.call({"XGROUP", "CREATE", stream, kGroup, "0", "MKSTREAM"});
    } catch (const RedisRefusal& refusal) {
      if (std::string_view(refusal.what()).find("BUSYGROUP") == std::string_view::npos) throw;
    }
  }
}

// From ">": a new entry; from "0": one that this worker has been given before.
std::optional<Delivery> SharedQueue::read(const std::string& worker, const std::string& stream, const char* from) {
  const RedisReply reply = redis_.call({"XREADGROUP", "GROUP", kGroup, worker, "COUNT", "1", "STREAMS", stream, from});
  if (reply.is_nil() || reply.items.empty()) return std::nullopt;
  const std::vector<RedisReply>& entries = reply.items[0].items.at(1).items;
  if (entries.empty()) return std::nullopt;
  const std::string& entry = entries[0].items.at(0).text;
  const std::vector<RedisReply>& fields = entries[0].items.at(1).items;
  if (fields.size() < 2) {  // it was removed
    redis_.call({"XACK", stream, kGroup, entry});
    return std::nullopt;
  }
  return Delivery{.stream = stream, .entry = entry, .id = fields[1].text};
}

std::optional<Delivery> SharedQueue::claim(const std::string& worker, const std::string& stream) {
  const RedisReply reply = redis_.call({"EVAL", kClaim, "1", stream, worker});
  if (reply.items.size() != 3) return std::nullopt;
  return Delivery{
      .stream = stream, .entry = reply.items[0].text, .id = reply.items[1].text, .count = reply.items[2].integer};
}

std::optional<Delivery> SharedQueue::take(const std::string& worker, const std::vector<std::string>& streams,
                                          bool claims) {
  const auto look = [&]() -> std::optional<Delivery> {
    for (const std::string& stream : streams) {
      if (auto own = read(worker, stream, "0")) return own;
    }
    for (const std::string& stream : streams) {
      if (!claims) break;
      if (auto dead = claim(worker, stream)) return dead;
    }
    for (const std::string& stream : streams) {
      if (auto fresh = read(worker, stream, ">")) return fresh;
    }
    return std::nullopt;
  };
  try {
    return look();
  } catch (const RedisRefusal& refusal) {
    if (std::string_view(refusal.what()).find("NOGROUP") == std::string_view::npos) throw;
  }
  make_groups(streams);  // the first time, and after a Redis that keeps nothing was started again
  return look();
}

bool SharedQueue::begin(const Delivery& d, const std::string& worker) {
  return redis_.call({"EVAL", kBegin, "1", job_key(d.id), d.id, worker, now_text(), d.stream, d.entry}).integer == 1;
}

void SharedQueue::change(const std::string& id, const std::map<std::string, std::string>& fields) {
  Words words{"EVAL", kChange, "1", job_key(id), id};
  for (const auto& [name, value] : fields) words.insert(words.end(), {name, value});
  redis_.call(words);
}

void SharedQueue::save_picture(const std::string& id, int64_t number, const std::string& png) {
  redis_.call({"SET", picture_key(id, number), png, "EX", std::to_string(options_.results.count())});
}

std::shared_ptr<const std::string> SharedQueue::picture(const std::string& id, int64_t number) {
  RedisReply reply = redis_.call({"GET", picture_key(id, number)});
  return reply.is_nil() ? nullptr : std::make_shared<const std::string>(std::move(reply.text));
}

bool SharedQueue::end(const Delivery& d, JobState state, const std::string& error, ErrorKind kind) {
  const bool ended = redis_
                         .call({"EVAL", kEnd, "2", job_key(d.id), "sumi:open", d.id, name_of(state), error,
                                std::to_string(static_cast<int>(kind)), now_text(),
                                std::to_string(options_.results.count()), d.stream, d.entry})
                         .integer == 1;
  // What is kept is bounded by number too.
  redis_.call({"ZREMRANGEBYRANK", "sumi:jobs", "0", std::to_string(-options_.most_kept - 1)});
  return ended;
}

void SharedQueue::give_back(const Delivery& d, const std::string&) {
  redis_.call({"EVAL", kGiveBack, "2", job_key(d.id), d.stream, d.id, d.entry});
}

void SharedQueue::tell(const SharedEvent& event) { redis_.call({"PUBLISH", kEventsChannel, to_text(event)}); }

void SharedQueue::remember_result(const std::string& hash, const std::string& id) {
  redis_.call({"SET", "sumi:result:" + hash, id, "EX", std::to_string(options_.results.count())});
}

std::optional<SharedJob> SharedQueue::result(const std::string& hash) {
  const RedisReply id = redis_.call({"GET", "sumi:result:" + hash});
  if (id.is_nil()) return std::nullopt;
  auto known = job(id.text);
  if (!known || known->view.state != JobState::kDone || known->view.pictures.empty()) return std::nullopt;
  for (const KeptPicture& picture : known->view.pictures) {
    if (redis_.call({"EXISTS", picture_key(id.text, picture.number)}).integer == 0) return std::nullopt;
  }
  return known;
}

}  // namespace sumi::app
