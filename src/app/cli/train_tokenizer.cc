// sumi train tokenizer: a vocabulary from the captions of a folder.
#include <memory>

#include "app/cli/arguments.h"
#include "app/cli/command.h"
#include "app/cli/output.h"
#include "app/cli/process.h"
#include "base/check.h"
#include "text/clip_tokenizer.h"
#include "text/train_bpe.h"
#include "train/dataset.h"

namespace sumi::app {
namespace {

struct TrainTokenizer {
  std::string data, out;
  int64_t size = 4096;

  int run() const;
};

int TrainTokenizer::run() const {
  check_output_folder(out);
  train::LeftOut left_out;
  const std::vector<train::Example> examples = train::find_examples(data, &left_out);
  train::check_captions(examples, data);
  for (const std::string& line : train::describe_examples(examples, left_out)) note(line);
  std::vector<std::string> captions;
  for (const train::Example& example : examples) captions.push_back(example.caption);
  const text::TokenizerText text = text::train_bpe(captions, size);
  const text::ClipTokenizer tokenizer = text::ClipTokenizer::parse(text);
  size_t longest = 0;
  for (const std::string& caption : captions) longest = std::max(longest, tokenizer.encode(caption).size());
  make_output_folder(out);
  text::write_tokenizer(out, text);
  say(fmt::format("{}: {} tokens from {} captions, the longest of {} tokens plus two marks\n", out,
                  tokenizer.vocab_size(), captions.size(), longest));
  return 0;
}

std::function<int()> declare(CLI::App& app) {
  auto train = std::make_shared<TrainTokenizer>();
  app.add_option("--data", train->data, "Folder of pictures with captions in .txt files or metadata.jsonl")
      ->required()
      ->type_name("DIR");
  app.add_option("--out", train->out, "Folder for vocab.json and merges.txt")->required()->type_name("DIR");
  add_integer(app, "--size", train->size, "Tokens, at least 515");
  return [train] { return train->run(); };
}

const CommandRegistration kRegistration({.name = "train tokenizer",
                                         .help = "Make a vocabulary from captions",
                                         .examples = R"(Examples:
  sumi train tokenizer --data pictures/ --out tokenizer --size 4096
  sumi train ldm --from-scratch --train-text --tokenizer tokenizer …
For a text encoder that is trained from nothing. Others keep the vocabulary they were trained with.
)",
                                         .declare = declare});

}  // namespace
}  // namespace sumi::app
