#include "app/server/shared_queue.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>

#include "app/server/job_json.h"
#include "app/server/submission.h"
#include "base/base64.h"
#include "base/check.h"
#include "base/hex.h"
#include "io/json_text.h"

namespace sumi::app {
namespace {

using Json = nlohmann::ordered_json;
using Words = std::vector<std::string>;

std::string job_key(const std::string& id) { return "sumi:job:" + id; }
std::string picture_key(const std::string& id, int64_t number) { return fmt::format("sumi:picture:{}:{}", id, number); }
std::string worker_key(const std::string& name) { return "sumi:worker:" + name; }

std::string stream_of(const std::string& model, int priority, const std::string& version,
                      const std::string& instructions) {
  std::string key = fmt::format("sumi:queue:{}:{}", model, priority > 0 ? 0 : priority == 0 ? 1 : 2);
  if (!version.empty() || !instructions.empty()) key += fmt::format(":{}/{}", version, instructions);
  return key;
}

std::map<std::string, std::string> map_of(const RedisReply& reply) {
  std::map<std::string, std::string> fields;
  for (size_t i = 0; i + 1 < reply.items.size(); i += 2) fields[reply.items[i].text] = reply.items[i + 1].text;
  return fields;
}

double number_of(const std::string& text) { return text.empty() ? 0.0 : std::strtod(text.c_str(), nullptr); }

std::string now_text() { return fmt::format("{:.6f}", seconds_now()); }

// Scripts run whole or not at all. KEYS and ARGV are named in their first lines; all begin with this.
constexpr const char* kCommon = R"(
local function remove(stream, entry)
  redis.pcall('XACK', stream, 'workers', entry)
  redis.call('XDEL', stream, entry)
  if redis.call('XLEN', stream) == 0 then redis.call('DEL', stream) end
end
)";

// A call of a script.
Words script(const char* text, const Words& keys, const Words& arguments) {
  Words words{"EVAL", std::string(kCommon) + text, std::to_string(keys.size())};
  words.insert(words.end(), keys.begin(), keys.end());
  words.insert(words.end(), arguments.begin(), arguments.end());
  return words;
}

// A job of that id is there already when the connection broke before the answer came.
constexpr const char* kSubmit = R"(
local job, jobs, open, stream = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local id, created, most, most_bytes = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
if redis.call('EXISTS', job) == 1 then return 'yes' end
local others = redis.call('ZRANGE', open, 0, -1)
if #others >= most then return 'full' end
local bytes = #ARGV[6]
for _, other in ipairs(others) do bytes = bytes + redis.call('HSTRLEN', 'sumi:job:' .. other, 'submission') end
if #others > 0 and bytes > most_bytes then return 'heavy' end
for i = 5, #ARGV, 2 do redis.call('HSET', job, ARGV[i], ARGV[i + 1]) end
redis.call('ZADD', jobs, created, id)
redis.call('ZADD', open, created, id)
local entry = redis.call('XADD', stream, '*', 'id', id)
redis.call('HSET', job, 'stream', stream, 'entry', entry)
redis.call('PUBLISH', 'sumi:work', '')
redis.call('PUBLISH', 'sumi:events', cjson.encode({id = id}))
return 'yes'
)";

// What runs on a worker that has ended is ended here: nobody else would.
constexpr const char* kCancel = R"(
local job, open, cancel = KEYS[1], KEYS[2], KEYS[3]
local id, now, kept = ARGV[1], ARGV[2], ARGV[3]
local state = redis.call('HGET', job, 'state')
if not state then return 'unknown' end
if state ~= 'queued' and state ~= 'running' then return 'over' end
redis.call('SET', cancel, '1', 'EX', kept)
local worker = redis.call('HGET', job, 'worker')
local lives = state == 'running' and worker and redis.call('EXISTS', 'sumi:worker:' .. worker) == 1
if not lives then
  redis.call('HSET', job, 'state', 'cancelled', 'finished', now)
  redis.call('HDEL', job, 'submission', 'worker')
  redis.call('ZREM', open, id)
  redis.call('EXPIRE', job, kept)
  local stream, entry = redis.call('HGET', job, 'stream'), redis.call('HGET', job, 'entry')
  if stream and entry then remove(stream, entry) end
end
redis.call('PUBLISH', 'sumi:cancels', id)
redis.call('PUBLISH', 'sumi:events', cjson.encode({id = id}))
return 'yes'
)";

constexpr const char* kBegin = R"(
local job, open = KEYS[1], KEYS[2]
local id, worker, now, stream, entry = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local state = redis.call('HGET', job, 'state')
if state ~= 'queued' and state ~= 'running' then
  remove(stream, entry)
  redis.call('ZREM', open, id)
  return 0
end
redis.call('HSET', job, 'state', 'running', 'worker', worker, 'started', now, 'done', '0', 'steps', '0')
redis.call('PUBLISH', 'sumi:events', cjson.encode({id = id}))
return 1
)";

constexpr const char* kEnd = R"(
local job, open = KEYS[1], KEYS[2]
local id, worker, state, error, kind, now, kept, stream, entry = unpack(ARGV)
if redis.call('HGET', job, 'worker') ~= worker then return 0 end
remove(stream, entry)
redis.call('HSET', job, 'state', state, 'error', error, 'error_kind', kind, 'finished', now)
redis.call('HDEL', job, 'submission', 'worker')
redis.call('ZREM', open, id)
redis.call('EXPIRE', job, kept)
for _, picture in ipairs(cjson.decode(redis.call('HGET', job, 'pictures') or '[]')) do
  redis.call('EXPIRE', string.format('sumi:picture:%s:%d', id, picture.number), kept)
end
redis.call('PUBLISH', 'sumi:events', cjson.encode({id = id}))
return 1
)";

// As fields of a job that the worker draws.
constexpr const char* kChange = R"(
local job, id, worker = KEYS[1], ARGV[1], ARGV[2]
if redis.call('HGET', job, 'worker') ~= worker then return 0 end
for i = 3, #ARGV, 2 do redis.call('HSET', job, ARGV[i], ARGV[i + 1]) end
redis.call('PUBLISH', 'sumi:events', cjson.encode({id = id}))
return 1
)";

// The entry keeps its place, and how often it was taken but for this time.
constexpr const char* kGiveBack = R"(
local job, stream = KEYS[1], KEYS[2]
local id, worker, entry, count = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if redis.call('HGET', job, 'worker') ~= worker then return 0 end
redis.call('XCLAIM', stream, 'workers', '-', '0', entry, 'RETRYCOUNT', count, 'JUSTID')
redis.call('HSET', job, 'state', 'queued')
redis.call('HDEL', job, 'worker')
redis.call('PUBLISH', 'sumi:work', '')
redis.call('PUBLISH', 'sumi:events', cjson.encode({id = id}))
return 1
)";

constexpr const char* kStanding = R"(
if redis.call('HGET', KEYS[1], 'worker') ~= ARGV[1] then return 'lost' end
return redis.call('EXISTS', KEYS[2]) == 1 and 'cancelled' or 'own'
)";

constexpr const char* kForgetPicture = R"(
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], 'pictures', ARGV[1], 'partial', '1')
return redis.call('DEL', KEYS[2])
)";

// KEYS: streams. An entry that the worker has been given without knowing it, else one whose worker says nothing any
// more or has given it back, else a new one.
constexpr const char* kTake = R"(
local worker, claims = ARGV[1], ARGV[2] == '1'
local function pending(stream, ...)
  local found = redis.pcall('XPENDING', stream, 'workers', '-', '+', ...)
  return found.err and {} or found
end
local function delivery(stream, entry, fields, count)
  if fields and fields[2] then return {stream, entry, fields[2], count} end
  redis.call('XACK', stream, 'workers', entry)  -- it has been removed
end
local streams = {}
for _, stream in ipairs(KEYS) do
  if redis.call('EXISTS', stream) == 1 then table.insert(streams, stream) end
end
for _, stream in ipairs(streams) do
  for _, one in ipairs(pending(stream, '1', worker)) do
    local entry = redis.call('XRANGE', stream, one[1], one[1])[1]
    local own = delivery(stream, one[1], entry and entry[2], one[4])
    if own then return own end
  end
end
for _, stream in ipairs(streams) do
  for _, one in ipairs(pending(stream, '64')) do
    local free = one[2] == '-' or claims and redis.call('EXISTS', 'sumi:worker:' .. one[2]) == 0
    local entry = free and redis.call('XCLAIM', stream, 'workers', worker, '0', one[1])[1]
    local found = free and delivery(stream, one[1], entry and entry[2], one[4] + 1)
    if found then return found end
  end
end
for _, stream in ipairs(streams) do
  redis.pcall('XGROUP', 'CREATE', stream, 'workers', '0')
  local read = redis.call('XREADGROUP', 'GROUP', 'workers', worker, 'COUNT', '1', 'STREAMS', stream, '>')
  local entry = read and read[1][2][1]
  if entry then return delivery(stream, entry[1], entry[2], 1) end
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
  return io::json_line(json);
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

std::string pictures_json(const std::vector<KeptPicture>& pictures) { return io::json_line(json_of(pictures)); }

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

std::string result_hash(const Submission& submission, const std::string& model, const Identity& identity,
                        const std::string& drawn_with) {
  Submission common = submission;
  common.model = model;
  common.client.clear();
  common.priority = 0;
  common.previews = false;
  common.version.clear();
  common.instructions.clear();
  const std::string text = to_json(common) + "\n" + identity.version + "\n" + identity.instructions + "\n" + drawn_with;
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  SUMI_CHECK_KIND(kInternal, EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha256(), nullptr) == 1,
                  "OpenSSL has no SHA-256");
  return hex_of(std::span(digest).first(size));
}

SharedQueue::Submitted SharedQueue::submit(const SharedJob& job, const Submission& s, int64_t most_open,
                                           int64_t most_bytes) {
  const std::string& id = job.view.id;
  const std::string stream = stream_of(job.view.model, s.priority, s.version, s.instructions);
  Words arguments{id,
                  fmt::format("{:.6f}", job.view.created),
                  std::to_string(most_open),
                  std::to_string(most_bytes),
                  "submission",
                  job.submission};
  for (const auto& [name, value] : fields_of(job.view)) arguments.insert(arguments.end(), {name, value});
  const std::string answer =
      redis_.call(script(kSubmit, {job_key(id), "sumi:jobs", "sumi:open", stream}, arguments)).text;
  return answer == "full" ? Submitted::kFull : answer == "heavy" ? Submitted::kHeavy : Submitted::kYes;
}

std::optional<SharedJob> SharedQueue::job(const std::string& id) {
  auto fields = map_of(redis_.call({"HGETALL", job_key(id)}));
  if (!fields.contains("state")) return std::nullopt;
  SharedJob job{.submission = fields["submission"], .whole = !fields.contains("partial")};
  job.view = {.id = id,
              .model = fields["model"],
              .vae = fields["vae"],
              .client = fields["client"],
              .priority = static_cast<int>(number_of(fields["priority"])),
              .state = state_of(fields["state"]).value_or(JobState::kQueued),
              .done = static_cast<int64_t>(number_of(fields["done"])),
              .steps = static_cast<int64_t>(number_of(fields["steps"])),
              .created = number_of(fields["created"]),
              .started = number_of(fields["started"]),
              .finished = number_of(fields["finished"]),
              .error = fields["error"],
              .error_kind = static_cast<ErrorKind>(static_cast<int>(number_of(fields["error_kind"]))),
              .request = fields["request"].empty() ? "{}" : fields["request"],
              .settings = fields["settings"],
              .upscaling = fields["upscaling"] == "1"};
  if (!fields["pictures"].empty()) job.view.pictures = pictures_of(Json::parse(fields["pictures"]));
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

Jobs::Cancelled SharedQueue::cancel(const std::string& id) {
  const std::string answer = redis_
                                 .call(script(kCancel, {job_key(id), "sumi:open", "sumi:cancel:" + id},
                                              {id, now_text(), std::to_string(options_.results.count())}))
                                 .text;
  if (answer == "yes") forget_old();
  return answer == "unknown" ? Jobs::Cancelled::kUnknown
         : answer == "over"  ? Jobs::Cancelled::kOver
                             : Jobs::Cancelled::kYes;
}

void SharedQueue::drop(const std::string& id) {
  redis_.call({"ZREM", "sumi:open", id});
  redis_.call({"ZREM", "sumi:jobs", id});
}

// What is kept is bounded by number too; those that are not over are never forgotten.
void SharedQueue::forget_old() {
  for (const RedisReply& item :
       redis_.call({"ZRANGE", "sumi:jobs", "0", std::to_string(-options_.most_kept - 1)}).items) {
    if (!forget(item.text) && !job(item.text)) drop(item.text);
  }
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
  const bool was = redis_
                       .call(script(kForgetPicture, {job_key(changed.id), picture_key(changed.id, number)},
                                    {pictures_json(changed.pictures)}))
                       .integer == 1;
  tell({.id = changed.id});
  return was;
}

void SharedQueue::beat(const std::string& worker, const Identity& identity) {
  redis_.call({"SET", worker_key(worker),
               io::json_line(Json{{"version", identity.version}, {"instructions", identity.instructions}}), "PX",
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

std::optional<Delivery> SharedQueue::take(const std::string& worker, const std::vector<std::string>& streams,
                                          bool claims) {
  const RedisReply reply = redis_.call(script(kTake, streams, {worker, claims ? "1" : "0"}));
  if (reply.items.size() != 4) return std::nullopt;
  return Delivery{.stream = reply.items[0].text,
                  .entry = reply.items[1].text,
                  .id = reply.items[2].text,
                  .count = reply.items[3].integer,
                  .worker = worker};
}

bool SharedQueue::begin(const Delivery& d) {
  return redis_.call(script(kBegin, {job_key(d.id), "sumi:open"}, {d.id, d.worker, now_text(), d.stream, d.entry}))
             .integer == 1;
}

SharedQueue::Standing SharedQueue::standing(const Delivery& d) {
  const std::string answer = redis_.call(script(kStanding, {job_key(d.id), "sumi:cancel:" + d.id}, {d.worker})).text;
  return answer == "own" ? Standing::kOwn : answer == "cancelled" ? Standing::kCancelled : Standing::kLost;
}

void SharedQueue::change(const Delivery& d, const std::map<std::string, std::string>& fields) {
  Words arguments{d.id, d.worker};
  for (const auto& [name, value] : fields) arguments.insert(arguments.end(), {name, value});
  redis_.call(script(kChange, {job_key(d.id)}, arguments));
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
                         .call(script(kEnd, {job_key(d.id), "sumi:open"},
                                      {d.id, d.worker, name_of(state), error, std::to_string(static_cast<int>(kind)),
                                       now_text(), std::to_string(options_.results.count()), d.stream, d.entry}))
                         .integer == 1;
  forget_old();
  return ended;
}

void SharedQueue::give_back(const Delivery& d) {
  redis_.call(script(kGiveBack, {job_key(d.id), d.stream}, {d.id, d.worker, d.entry, std::to_string(d.count - 1)}));
}

void SharedQueue::tell(const SharedEvent& event) { redis_.call({"PUBLISH", kEventsChannel, to_text(event)}); }

void SharedQueue::remember_result(const std::string& hash, const std::string& id) {
  redis_.call({"SET", "sumi:result:" + hash, id, "EX", std::to_string(options_.results.count())});
}

std::optional<SharedJob> SharedQueue::result(const std::string& hash) {
  const RedisReply id = redis_.call({"GET", "sumi:result:" + hash});
  if (id.is_nil()) return std::nullopt;
  auto known = job(id.text);
  if (!known || !known->whole || known->view.state != JobState::kDone || known->view.pictures.empty())
    return std::nullopt;
  for (const KeptPicture& picture : known->view.pictures) {
    if (redis_.call({"EXISTS", picture_key(id.text, picture.number)}).integer == 0) return std::nullopt;
  }
  return known;
}

}  // namespace sumi::app
