#include "app/server/job_json.h"

namespace sumi::app {

using Json = nlohmann::ordered_json;

Json json_of(const std::vector<KeptPicture>& pictures) {
  Json list = Json::array();
  for (const KeptPicture& p : pictures)
    list.push_back({{"number", p.number},
                    {"seed", p.seed},
                    {"width", p.width},
                    {"height", p.height},
                    {"prompt", p.prompt},
                    {"parameters", p.parameters},
                    {"flagged", p.flagged}});
  return list;
}

std::vector<KeptPicture> pictures_of(const Json& json) {
  std::vector<KeptPicture> pictures;
  for (const Json& p : json)
    pictures.push_back({.number = p.at("number"),
                        .seed = p.at("seed"),
                        .width = p.at("width"),
                        .height = p.at("height"),
                        .prompt = p.at("prompt"),
                        .parameters = p.at("parameters"),
                        .flagged = p.at("flagged")});
  return pictures;
}

}  // namespace sumi::app
