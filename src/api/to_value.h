// JSON values of sumi's structs, for writing and for the schema's defaults.
#pragma once

#include <nlohmann/json.hpp>

#include "api/fields.h"

namespace sumi::api {

using OrderedJson = nlohmann::ordered_json;  // keeps the order of the tables

template <class T> OrderedJson to_value(const std::optional<T>& value);  // null where it is open
template <class T> OrderedJson to_value(const std::vector<T>& values);

// Structs that have a table, numbers, texts, booleans.
template <class T> OrderedJson to_value(const T& value) {
  if constexpr (requires { visit_fields(value, [](const auto&, const Field&) {}); }) {
    OrderedJson object = OrderedJson::object();
    visit_fields(value, [&](const auto& member, const Field& field) {
      OrderedJson written = to_value(member);
      if (!written.is_null()) object[std::string(field.name)] = std::move(written);
    });
    return object;
  } else {
    return value;
  }
}

template <class T> OrderedJson to_value(const std::optional<T>& value) {
  return value ? to_value(*value) : OrderedJson();
}

template <class T> OrderedJson to_value(const std::vector<T>& values) {
  OrderedJson list = OrderedJson::array();
  for (const T& value : values) list.push_back(to_value(value));
  return list;
}

}  // namespace sumi::api
