#include "app/server/webui.h"

#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "app/server/http_text.h"
#include "app/server/webui_controls.h"
#include "app/server/webui_fields.h"
#include "app/server/webui_info.h"
#include "app/server/webui_options.h"
#include "app/server/webui_request.h"
#include "base/check.h"
#include "io/json_text.h"

namespace sumi::app {
namespace {

using Json = nlohmann::json;
using Exchange = std::shared_ptr<HttpExchange>;

// What the routes share; of the server's thread alone.
struct Web {
  Jobs& jobs;
  const Shelf& shelf;
  const Library& library;
  Waiting& waiting;
  WebOptions options{shelf, library};
  std::string interrupted = {};  // the job that was interrupted last
};
using WebPtr = std::shared_ptr<Web>;

HttpReply json_reply(const Json& json) { return {.body = io::json_line(json)}; }

// What `call` throws, in the form that the web UI's clients read.
void guarded(const Exchange& exchange, const std::function<void()>& call) {
  try {
    call();
  } catch (const QueueIsFull& full) {
    HttpReply reply = web_refusal(429, full.what());
    reply.headers.emplace_back("Retry-After", std::to_string(QueueIsFull::kRetryAfter));
    exchange->reply(std::move(reply));
  } catch (const Error& error) {
    exchange->reply(web_refusal(status_of(error.kind()), error.what()));
  } catch (const std::exception& error) {
    exchange->reply(web_refusal(500, error.what()));
  }
}

struct Asked {
  Question question;
  std::optional<WebOptionsState> options_then = {};  // as in WebDrawing
};

class Routes {
 public:
  Routes(Router& router, WebPtr web) : router_(router), web_(std::move(web)) {}

  void get(std::string_view path, std::function<Json(Web&, const HttpRequest&)> answer) {
    router_.add("GET", path, [web = web_, answer = std::move(answer)](const Exchange& exchange, const Captures&) {
      guarded(exchange, [&] { exchange->reply(json_reply(answer(*web, exchange->request()))); });
    });
  }
  // A body, if there is one, is not looked at.
  void post(std::string_view path, std::function<HttpReply(Web&, const HttpRequest&)> answer) {
    router_.add("POST", path, [web = web_, answer = std::move(answer)](const Exchange& exchange, const Captures&) {
      guarded(exchange, [&] { exchange->reply(answer(*web, exchange->request())); });
    });
  }
  void post_json(std::string_view path, std::function<Json(Web&, const Json& body)> answer) {
    add_json(path, [answer = std::move(answer)](const WebPtr& web, const Exchange& exchange, const Json& body) {
      exchange->reply(json_reply(answer(*web, body)));
    });
  }
  void ask(std::string_view path, std::function<Asked(const WebPtr&, const Json& body)> read) {
    add_json(path, [read = std::move(read)](const WebPtr& web, const Exchange& exchange, const Json& body) {
      Asked asked = read(web, body);
      asked.question.submission.client = exchange->request().peer;
      asked.question.refuse = web_refusal;
      web->waiting.ask(exchange, std::move(asked.question));
      if (asked.options_then) web->options.put(std::move(*asked.options_then));
    });
  }

 private:
  void add_json(std::string_view path, std::function<void(const WebPtr&, const Exchange&, const Json&)> answer) {
    router_.add("POST", path, [web = web_, answer = std::move(answer)](const Exchange& exchange, const Captures&) {
      guarded(exchange, [&] {
        if (!is_json(exchange->request()))
          return exchange->reply(web_refusal(415, "the body must be JSON, with Content-Type: application/json"));
        answer(web, exchange, read_web_body(exchange->request().body));
      });
    });
  }

  Router& router_;
  WebPtr web_;
};

// The reply tells of the job alone: of two clients that ask the same, one waits for the other's job.
Asked asked_of(const WebPtr& web, WebDrawing drawing) {
  const auto answer = [web, echo = std::make_shared<const WebEcho>(std::move(drawing.echo))](const JobView& view) {
    return web_drawing_reply(web->jobs, view, *echo);
  };
  return {.question = {.submission = std::move(drawing.submission),
                       .repeats = drawing.repeats,
                       .answer = answer,
                       .cancelled = answer},
          .options_then = std::move(drawing.options_then)};
}

// An enlargement has nothing that is drawn at random.
Asked asked_of(const WebPtr& web, Submission submission, bool batch) {
  return {
      .question = {.submission = std::move(submission), .repeats = true, .answer = [web, batch](const JobView& view) {
                     return web_extra_reply(web->jobs, view, batch);
                   }}};
}

void add_drawing_routes(Routes& routes) {
  routes.ask("/sdapi/v1/txt2img",
             [](const WebPtr& web, const Json& body) { return asked_of(web, read_txt2img(body, web->options)); });
  routes.ask("/sdapi/v1/img2img",
             [](const WebPtr& web, const Json& body) { return asked_of(web, read_img2img(body, web->options)); });
  routes.ask("/sdapi/v1/extra-single-image",
             [](const WebPtr& web, const Json& body) { return asked_of(web, read_extra_image(body), false); });
  routes.ask("/sdapi/v1/extra-batch-images",
             [](const WebPtr& web, const Json& body) { return asked_of(web, read_extra_batch(body), true); });
  routes.post_json("/sdapi/v1/png-info", [](Web&, const Json& body) {
    const std::string picture = WebFields(body).picture("image");
    SUMI_CHECK_KIND(kUsage, !picture.empty(), "`image` must be given, a picture in base64");
    return web_png_info(picture);
  });
}

// The last preview of a job, a PNG in base64; empty: none yet.
std::string preview_of(Jobs& jobs, const std::string& id) {
  std::string data;
  {
    const auto watch = jobs.watch(id, 0, [&](const JobEvent& event) {
      if (event.name == "preview") data = event.data;
    });
  }  // from here on it is not called
  return data;
}

Json progress(Web& web, const HttpRequest& request) {
  const auto view = web.jobs.view(web.waiting.current(request.peer));
  if (!view) return web_progress(nullptr, "", false);
  const auto set = [&](const char* name) {
    const std::string* value = request.parameter(name);
    return value != nullptr && (*value == "true" || *value == "True" || *value == "1");
  };
  std::string preview;
  if (!set("skip_current_image") && !set("skipCurrentImage")) preview = preview_of(web.jobs, view->id);
  if (!preview.empty()) preview = Json::parse(preview).at("png").get<std::string>();
  return web_progress(&*view, preview, web.interrupted == view->id);
}

HttpReply interrupt(Web& web, const HttpRequest& request) {
  const std::string id = web.waiting.current(request.peer);
  if (!id.empty() && web.jobs.cancel(id) == Jobs::Cancelled::kYes) web.interrupted = id;
  return json_reply(Json::object());
}

// The rest of a batch cannot be left out and the next be drawn: to skip the last is to end the job.
HttpReply skip(Web& web, const HttpRequest& request) {
  const auto view = web.jobs.view(web.waiting.current(request.peer));
  if (view && !view->upscaling) {
    const auto rounds = Json::parse(view->request).value("iterations", int64_t{1});
    const bool last = view->steps > 0 && view->done * rounds >= view->steps * (rounds - 1);
    if (rounds > 1 && !last)
      return web_refusal(409, "one of several iterations cannot be skipped; /sdapi/v1/interrupt ends them all");
  }
  interrupt(web, request);
  return json_reply(nullptr);
}

void add_state_routes(Routes& routes) {
  routes.get("/sdapi/v1/progress", progress);
  routes.post("/sdapi/v1/interrupt", interrupt);
  routes.post("/sdapi/v1/skip", skip);
  routes.get("/sdapi/v1/options", [](Web& web, const HttpRequest&) { return web.options.get(); });
  routes.post_json("/sdapi/v1/options", [](Web& web, const Json& body) -> Json {
    web.options.set(body);
    return nullptr;
  });
  for (const char* what : {"checkpoints", "vae", "loras", "embeddings"})
    routes.post(std::string("/sdapi/v1/refresh-") + what, [](Web&, const HttpRequest&) { return json_reply(nullptr); });
}

void add_list_routes(Routes& routes) {
  routes.get("/sdapi/v1/samplers", [](Web&, const HttpRequest&) { return web_samplers(); });
  routes.get("/sdapi/v1/schedulers", [](Web&, const HttpRequest&) { return web_schedulers(); });
  routes.get("/sdapi/v1/latent-upscale-modes", [](Web&, const HttpRequest&) { return web_latent_modes(); });
  routes.get("/sdapi/v1/upscalers", [](Web& web, const HttpRequest&) { return web_upscalers(web.library); });
  routes.get("/sdapi/v1/sd-models", [](Web& web, const HttpRequest&) { return web_models(web.shelf); });
  routes.get("/sdapi/v1/sd-vae", [](Web& web, const HttpRequest&) { return web_vaes(web.library); });
  routes.get("/sdapi/v1/loras", [](Web& web, const HttpRequest&) { return web_loras(web.library); });
  routes.get("/sdapi/v1/embeddings", [](Web& web, const HttpRequest&) { return web_embeddings(web.library); });
  routes.get("/sdapi/v1/memory", [](Web&, const HttpRequest&) { return web_memory(); });
  routes.get("/sdapi/v1/cmd-flags", [](Web&, const HttpRequest&) -> Json {
    return {{"api", true}, {"nowebui", false}, {"share", false}, {"medvram", false}, {"lowvram", false}};
  });
  routes.get("/sdapi/v1/scripts", [](Web&, const HttpRequest&) -> Json {
    return {{"txt2img", Json::array()}, {"img2img", Json::array()}};
  });
  for (const char* what :
       {"hypernetworks", "face-restorers", "realesrgan-models", "prompt-styles", "script-info", "extensions"})
    routes.get(std::string("/sdapi/v1/") + what, [](Web&, const HttpRequest&) { return Json::array(); });
  routes.get("/internal/ping", [](Web&, const HttpRequest&) { return Json::object(); });
}

void add_controlnet_routes(Routes& routes) {
  routes.get("/controlnet/version", [](Web&, const HttpRequest&) -> Json { return {{"version", 3}}; });
  routes.get("/controlnet/settings", [](Web&, const HttpRequest&) -> Json { return {{"control_net_unit_count", 3}}; });
  routes.get("/controlnet/model_list", [](Web& web, const HttpRequest&) -> Json {
    return {{"model_list", web_control_models(web.library)}};
  });
  routes.get("/controlnet/module_list", [](Web&, const HttpRequest&) -> Json {
    return {{"module_list", web_control_modules()}, {"module_detail", Json::object()}};
  });
  routes.get("/controlnet/control_types", [](Web& web, const HttpRequest&) { return web_control_types(web.library); });
}

}  // namespace

void add_webui_routes(Router& router, Jobs& jobs, const Shelf& shelf, const Library& library, Waiting& waiting) {
  Routes routes(router, std::make_shared<Web>(Web{jobs, shelf, library, waiting}));
  add_drawing_routes(routes);
  add_state_routes(routes);
  add_list_routes(routes);
  add_controlnet_routes(routes);
}

}  // namespace sumi::app
