// engine::fill_open knows every field of the table of a request.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "api/json.h"
#include "engine/like.h"

namespace sumi::api {
namespace {

// A value for any member, other than its default.
struct Fill {
  template <class T> static void to(T& member, const Field& field) {
    if constexpr (std::same_as<T, bool>) {
      member = true;
    } else if constexpr (std::same_as<T, std::string>) {
      member = field.choices.empty() ? "text" : std::string(field.choices.back());
    } else if constexpr (std::same_as<T, double>) {
      member = field.max.value_or(2.0) / 2.0;
    } else if constexpr (std::is_integral_v<T>) {
      member = static_cast<T>(static_cast<T>(field.multiple_of) * 2);
    } else if constexpr (requires { member.emplace(); }) {
      to(member.emplace(), field);
    } else if constexpr (requires { member.emplace_back(); }) {
      to(member.emplace_back(), field);
    } else {
      visit_fields(member, [](auto& inner, const Field& its) { to(inner, its); });
    }
  }
};

TEST(FillOpen, TakesEveryField) {
  Request full, empty;
  Fill::to(full, {});
  const auto full_json = nlohmann::json::parse(to_json(full)), empty_json = nlohmann::json::parse(to_json(empty));
  for (const auto& [name, value] : full_json.items())
    EXPECT_NE(value, empty_json.value(name, nlohmann::json())) << name;
  engine::fill_open(empty, full);
  EXPECT_EQ(to_json(empty), to_json(full));
  Request other = full;
  engine::fill_open(other, Request());
  EXPECT_EQ(to_json(other), to_json(full));
}

}  // namespace
}  // namespace sumi::api
