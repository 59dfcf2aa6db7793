#include "io/pickle.h"

#include <bit>
#include <limits>
#include <unordered_map>

#include "base/check.h"
#include "base/text_util.h"
#include "io/pickle_globals.h"

namespace sumi::io {
namespace {

using Value = PickleValue;
using Kind = PickleValue::Kind;

// Memory that the values of one pickle may take together. A tensor's entry costs some 3 KB: room for 16,000 of them,
// five times a full training checkpoint of Stable Diffusion.
constexpr size_t kMaxBytes = 48 << 20;
constexpr size_t kLongestName = 1024;  // of a class or a function, or of its module

class Machine {
 public:
  Machine(std::span<const uint8_t> bytes, const std::string& file) : bytes_(bytes), file_(file) {}

  Pickle run() {
    while (!step(static_cast<uint8_t>(number(1)))) {
    }
    pickle_.bytes = at_;
    return std::move(pickle_);
  }

 private:
  template <class... Args> void require(bool condition, fmt::format_string<Args...> what, Args&&... args) const {
    if (!condition)
      fail(ErrorKind::kData, "{}: its pickle {} (byte {})", file_, fmt::format(what, std::forward<Args>(args)...), at_);
  }

  // --- reading -----------------------------------------------------------------------------------------------------
  uint64_t number(int width) {
    require(bytes_.size() - at_ >= static_cast<size_t>(width), "ends too soon");
    uint64_t value = 0;
    for (int i = width - 1; i >= 0; --i) value = value << 8 | bytes_[at_ + static_cast<size_t>(i)];
    at_ += static_cast<size_t>(width);
    return value;
  }
  std::string text(uint64_t length) {
    require(length <= bytes_.size() - at_, "has a string of {} bytes where {} are left", length, bytes_.size() - at_);
    charge(static_cast<size_t>(length));
    std::string out(reinterpret_cast<const char*>(bytes_.data()) + at_, static_cast<size_t>(length));
    at_ += static_cast<size_t>(length);
    return out;
  }
  std::string line() {
    const size_t begin = at_;
    while (at_ < bytes_.size() && bytes_[at_] != '\n') ++at_;
    require(at_ < bytes_.size(), "ends within a line");
    return {reinterpret_cast<const char*>(bytes_.data()) + begin, at_++ - begin};
  }
  int64_t long_integer(uint64_t length) {
    require(length <= 8, "has a whole number of {} bytes", length);
    if (length == 0) return 0;
    const uint64_t raw = number(static_cast<int>(length));
    const int shift = static_cast<int>(64 - 8 * length);
    return static_cast<int64_t>(raw << shift) >> shift;
  }

  // --- values and stack --------------------------------------------------------------------------------------------
  // Counts memory before it is taken: a few bytes of pickle can ask for a lot.
  void charge(size_t bytes) {
    spent_ += bytes;
    require(spent_ <= kMaxBytes, "would take more than {} MB of memory", kMaxBytes >> 20);
  }
  Value* make(Kind kind) {
    charge(sizeof(Value) + 2 * sizeof(void*));
    pickle_.values.push_back(std::make_unique<Value>());
    pickle_.values.back()->kind = kind;
    return pickle_.values.back().get();
  }
  void push(Value* value) {
    if (stack_.size() == stack_.capacity()) charge(2 * sizeof(Value*) * (stack_.size() + 1));
    stack_.push_back(value);
  }
  void push_integer(Kind kind, int64_t integer) {
    push(make(kind));
    stack_.back()->integer = integer;
  }
  void push_text(Kind kind, std::string value) {
    push(make(kind));
    stack_.back()->text = std::move(value);
  }
  // The top of the stack; never below the last mark.
  Value* top() const {
    require(stack_.size() > (marks_.empty() ? 0 : marks_.back()), "takes from an empty stack");
    return stack_.back();
  }
  Value* pop() {
    Value* value = top();
    stack_.pop_back();
    return value;
  }
  std::vector<Value*> pop_to_mark() {
    require(!marks_.empty(), "has no mark to go back to");
    charge(sizeof(Value*) * (stack_.size() - marks_.back()));
    const auto begin = stack_.begin() + static_cast<ptrdiff_t>(marks_.back());
    std::vector<Value*> out(begin, stack_.end());
    stack_.erase(begin, stack_.end());
    marks_.pop_back();
    return out;
  }
  void push_tuple(std::vector<Value*> items) {
    push(make(Kind::kTuple));
    stack_.back()->items = std::move(items);
  }
  void set_items(Value* target, const std::vector<Value*>& items) {
    require(target->kind == Kind::kDict || target->kind == Kind::kInert,
            "sets entries of a value that is not a dictionary");
    require(items.size() % 2 == 0, "has a key without a value");
    charge(2 * sizeof(Value*) * items.size());
    for (size_t i = 0; target->kind == Kind::kDict && i < items.size(); i += 2)
      target->entries.emplace_back(items[i], items[i + 1]);
  }
  void append(Value* target, const std::vector<Value*>& items) {
    require(target->kind == Kind::kList || target->kind == Kind::kInert, "appends to a value that is not a list");
    charge(2 * sizeof(Value*) * items.size());
    if (target->kind == Kind::kList) target->items.insert(target->items.end(), items.begin(), items.end());
  }
  void remember(uint64_t slot) {
    require(slot <= bytes_.size(), "stores memo {}, a number beyond its size in bytes", slot);
    if (memo_.emplace(slot, top()).second) {
      charge(64);  // a node of the table
    } else {
      memo_[slot] = top();
    }
  }
  void recall(uint64_t slot) {
    const auto it = memo_.find(slot);
    require(it != memo_.end(), "reads memo {}, which was never stored", slot);
    push(it->second);
  }

  // --- names and what they would construct -------------------------------------------------------------------------
  void push_global(const std::string& name) {
    require(!is_dangerous_global(name),
            "names \"{}\", which no model needs; it may be an attack, and none of it was run",
            strip_control(name.substr(0, 120)));
    require(name.size() <= 2 * kLongestName + 1, "has a name of {} bytes", name.size());
    push_text(Kind::kGlobal, name);
  }

  void reduce() {
    Value* arguments = pop();
    Value* callee = pop();
    require(callee->kind == Kind::kGlobal || callee->kind == Kind::kInert, "calls a value that is not a name");
    require(arguments->kind == Kind::kTuple, "calls with arguments that are not a tuple");
    const KnownGlobal global = callee->kind == Kind::kGlobal
                                   ? known_global(callee->text).value_or(KnownGlobal{GlobalKind::kInert})
                                   : KnownGlobal{GlobalKind::kInert};
    switch (global.kind) {
      case GlobalKind::kOrderedDict: return push_ordered_dict(arguments->items);
      case GlobalKind::kRebuildTensor: return push_tensor(arguments->items);
      case GlobalKind::kRebuildParameter:
        require(!arguments->items.empty() && arguments->items[0]->kind == Kind::kTensor,
                "rebuilds a parameter from a value that is not a tensor");
        return push(arguments->items[0]);
      case GlobalKind::kStorage: require(false, "calls a storage");
      case GlobalKind::kParameterDict: return push(make(Kind::kDict));
      case GlobalKind::kInert:
        require(!holds_tensor(*arguments), "makes a tensor by \"{}\", which is not known",
                strip_control(callee->text.substr(0, 120)));
        push_text(Kind::kInert, callee->text.substr(0, 120));
        return charge(callee->text.size());
    }
  }

  // Whether a tensor or its bytes are among the values, as deep as functions of torch have them.
  bool holds_tensor(const Value& arguments) const {
    constexpr size_t kMostValues = 256;
    std::vector<const Value*> left{&arguments};
    for (size_t looked = 0; looked < left.size() && looked < kMostValues; ++looked) {
      if (left[looked]->kind == Kind::kTensor || left[looked]->kind == Kind::kStorage) return true;
      for (const Value* item : left[looked]->items) {
        if (left.size() < kMostValues) left.push_back(item);
      }
    }
    return false;
  }

  void push_ordered_dict(const std::vector<Value*>& arguments) {
    Value* dict = make(Kind::kDict);
    if (!arguments.empty()) {
      require(arguments[0]->kind == Kind::kList, "makes a dictionary from a value that is not a list");
      charge(4 * sizeof(Value*) * arguments[0]->items.size());
      for (Value* pair : arguments[0]->items) {
        require((pair->kind == Kind::kTuple || pair->kind == Kind::kList) && pair->items.size() == 2,
                "makes a dictionary from items that are not pairs");
        dict->entries.emplace_back(pair->items[0], pair->items[1]);
      }
    }
    push(dict);
  }

  std::vector<int64_t> whole_numbers(const Value* tuple) const {
    require(tuple->kind == Kind::kTuple && tuple->items.size() <= 8, "has a tensor with a malformed shape");
    std::vector<int64_t> out;
    for (const Value* item : tuple->items) {
      require(item->kind == Kind::kInt && item->integer >= 0, "has a tensor with a negative or odd size or stride");
      out.push_back(item->integer);
    }
    return out;
  }

  // (storage, offset, sizes, strides, requires_grad, hooks)
  void push_tensor(const std::vector<Value*>& arguments) {
    require(arguments.size() >= 4 && arguments[0]->kind == Kind::kStorage, "rebuilds a tensor without a storage");
    require(arguments[1]->kind == Kind::kInt && arguments[1]->integer >= 0, "has a tensor with a negative offset");
    Value* tensor = make(Kind::kTensor);
    tensor->storage = arguments[0];
    tensor->offset = arguments[1]->integer;
    tensor->sizes = whole_numbers(arguments[2]);
    tensor->strides = whole_numbers(arguments[3]);
    require(tensor->sizes.size() == tensor->strides.size(), "has a tensor of {} sizes and {} strides",
            tensor->sizes.size(), tensor->strides.size());
    push(tensor);
  }

  // ("storage", class, key, location, count)
  void push_storage() {
    const Value* id = pop();
    require(id->kind == Kind::kTuple && id->items.size() >= 5 && id->items[0]->text == "storage",
            "refers to a value that is not a storage");
    const Value& type = *id->items[1];
    require(type.kind == Kind::kGlobal, "has a storage without a type");
    const auto known = known_global(type.text);
    require(known && known->kind == GlobalKind::kStorage, "has a storage of the type \"{}\", which is not known",
            strip_control(type.text.substr(0, 120)));
    // Only torch's format of before 2020 has views, as a sixth entry.
    require(id->items.size() < 6 || id->items[5]->kind == Kind::kNone, "has a storage that is a view of another");
    require(id->items[2]->kind == Kind::kString && id->items[4]->kind == Kind::kInt && id->items[4]->integer >= 0,
            "has a storage without key or size");
    Value* storage = make(Kind::kStorage);
    storage->dtype = known->dtype;
    storage->text = id->items[2]->text;
    storage->offset = id->items[4]->integer;
    push(storage);
  }

  void build() {
    const Value* state = pop();  // attributes that no tensor depends on, but for those of a ParameterDict
    Value* object = top();
    require(object->kind == Kind::kDict || object->kind == Kind::kInert,
            "sets the state of a value that is not an object");
    if (object->kind != Kind::kDict || state->kind != Kind::kDict) return;
    for (const auto& [key, value] : state->entries) {
      if (key->kind != Kind::kString || key->text != "_parameters" || value->kind != Kind::kDict) continue;
      if (value == object || state == object) continue;  // inserting would move what is being read
      charge(2 * sizeof(Value*) * value->entries.size());
      object->entries.insert(object->entries.end(), value->entries.begin(), value->entries.end());
    }
  }

  bool step(uint8_t opcode);

  std::span<const uint8_t> bytes_;
  const std::string& file_;
  size_t at_ = 0, spent_ = 0;
  Pickle pickle_;
  std::vector<Value*> stack_;
  std::vector<size_t> marks_;
  std::unordered_map<uint64_t, Value*> memo_;
};

// Runs one opcode; true at STOP.
bool Machine::step(uint8_t opcode) {
  switch (opcode) {
    case 0x80: {
      const uint64_t version = number(1);
      require(version >= 2 && version <= 5, "has version {}", version);
      break;
    }                             // PROTO
    case 0x95: number(8); break;  // FRAME
    case '.':
      pickle_.root = pop();
      require(stack_.empty() && marks_.empty(), "leaves values behind");
      return true;  // STOP
    case '(':
      charge(2 * sizeof(size_t));
      marks_.push_back(stack_.size());
      break;                         // MARK
    case '0': pop(); break;          // POP
    case '1': pop_to_mark(); break;  // POP_MARK
    case '2': push(top()); break;    // DUP
    case 'N': push(make(Kind::kNone)); break;
    case 0x88: push_integer(Kind::kBool, 1); break;
    case 0x89: push_integer(Kind::kBool, 0); break;
    case 'J': push_integer(Kind::kInt, static_cast<int32_t>(number(4))); break;
    case 'K': push_integer(Kind::kInt, static_cast<int64_t>(number(1))); break;
    case 'M': push_integer(Kind::kInt, static_cast<int64_t>(number(2))); break;
    case 0x8a: push_integer(Kind::kInt, long_integer(number(1))); break;  // LONG1
    case 0x8b: push_integer(Kind::kInt, long_integer(number(4))); break;  // LONG4
    case 'G':
      number(8);
      push(make(Kind::kFloat));
      break;  // BINFLOAT: no tensor depends on one
    case 'X': push_text(Kind::kString, text(number(4))); break;
    case 0x8c: push_text(Kind::kString, text(number(1))); break;
    case 0x8d: push_text(Kind::kString, text(number(8))); break;
    case 'T': push_text(Kind::kString, text(number(4))); break;  // BINSTRING
    case 'U': push_text(Kind::kString, text(number(1))); break;
    case 'B': push_text(Kind::kBytes, text(number(4))); break;
    case 'C': push_text(Kind::kBytes, text(number(1))); break;
    case 0x8e:
    case 0x96: push_text(Kind::kBytes, text(number(8))); break;
    case ')': push_tuple({}); break;
    case 't': push_tuple(pop_to_mark()); break;
    case 0x85: push_tuple({pop()}); break;
    case 0x86: {
      Value* b = pop();
      Value* a = pop();
      push_tuple({a, b});
      break;
    }
    case 0x87: {
      Value* c = pop();
      Value* b = pop();
      Value* a = pop();
      push_tuple({a, b, c});
      break;
    }
    case ']': push(make(Kind::kList)); break;
    case 'l': {
      const auto items = pop_to_mark();
      push(make(Kind::kList));
      append(top(), items);
      break;
    }
    case 'a': {
      Value* item = pop();
      append(top(), {item});
      break;
    }
    case 'e': {
      const auto items = pop_to_mark();
      append(top(), items);
      break;
    }
    case '}': push(make(Kind::kDict)); break;
    case 'd': {
      const auto items = pop_to_mark();
      push(make(Kind::kDict));
      set_items(top(), items);
      break;
    }
    case 's': {
      Value* value = pop();
      Value* key = pop();
      set_items(top(), {key, value});
      break;
    }
    case 'u': {
      const auto items = pop_to_mark();
      set_items(top(), items);
      break;
    }
    case 0x8f: push(make(Kind::kInert)); break;  // EMPTY_SET
    case 0x90: {
      const auto items = pop_to_mark();
      append(top(), items);
      break;
    }
    case 0x91:
      pop_to_mark();
      push(make(Kind::kInert));
      break;  // FROZENSET
    case 'q': remember(number(1)); break;
    case 'r': remember(number(4)); break;
    case 0x94: remember(memo_.size()); break;  // MEMOIZE
    case 'h': recall(number(1)); break;
    case 'j': recall(number(4)); break;
    case 'c': {
      const std::string module = line();
      push_global(module + " " + line());
      break;
    }
    case 0x93: {  // STACK_GLOBAL
      const Value* name = pop();
      const Value* module = pop();
      require(name->kind == Kind::kString && module->kind == Kind::kString, "uses a name that is not a string");
      require(std::max(module->text.size(), name->text.size()) <= kLongestName, "has a name of {} bytes",
              std::max(module->text.size(), name->text.size()));
      push_global(module->text + " " + name->text);
      break;
    }
    case 'R':
    case 0x81: reduce(); break;  // NEWOBJ: a class and its arguments
    case 0x92:
      pop();
      reduce();
      break;  // NEWOBJ_EX: keyword arguments are dropped
    case 'b': build(); break;
    case 'Q': push_storage(); break;
    case 0x82:
    case 0x83:
    case 0x84:
    case 'i':
    case 'o':
      require(false, "has the opcode 0x{:02x}, which builds objects in a way that torch.save does not", opcode);
      break;
    default: require(false, "has the opcode 0x{:02x}, which torch.save does not write", opcode);
  }
  return false;
}

}  // namespace

Pickle read_pickle(std::span<const uint8_t> bytes, const std::string& file) { return Machine(bytes, file).run(); }

}  // namespace sumi::io
