// Several processes under mpirun give the same results as one.
#include <cmath>

#include "io/checkpoint.h"
#include "tests/cli/cli_fixture.h"

namespace sumi::test {
namespace {

// The command that starts two processes on this machine; empty if there is no mpirun.
Words mpirun() {
  for (const char* folder : {"/usr/bin", "/usr/local/bin", "/usr/lib64/openmpi/bin", "/opt/homebrew/bin"}) {
    const fs::path program = fs::path(folder) / "mpirun";
    if (fs::exists(program)) return {program.string(), "--oversubscribe", "-np", "2"};
  }
  return {};
}

class Ranks : public testing::Test {
 protected:
  void SetUp() override {
    if (mpirun().empty()) GTEST_SKIP() << "no mpirun on this machine (openmpi-bin)";
    // Tests may run as root in a container.
    setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 1);
    setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 1);
#if defined(__SANITIZE_ADDRESS__)
    // Open MPI keeps memory until the process ends, allocated by plugins that are unloaded by then.
    const char* options = std::getenv("ASAN_OPTIONS");
    setenv("ASAN_OPTIONS", (std::string(options != nullptr ? options : "") + ":detect_leaks=0").c_str(), 1);
#endif
    write_pictures(data(), 5, 64, 64);
  }

  fs::path data() const { return folder_ / "data"; }

  // Runs both commands, which must both succeed.
  static void run_both(const Words& alone, const Words& together) {
    const Outcome one = run_program(alone);
    ASSERT_EQ(one.code, 0) << one.err;
    const Outcome two = run_program(mpirun() + together);
    ASSERT_EQ(two.code, 0) << two.err;
  }

  // Loss and norm of each step.
  std::vector<std::pair<double, double>> curve(const std::string& out) const {
    std::ifstream file(folder_ / out / "metrics.csv");
    std::vector<std::pair<double, double>> points;
    std::string line;
    std::getline(file, line);
    while (std::getline(file, line)) {
      double step = 0, loss = 0, norm = 0;
      std::sscanf(line.c_str(), "%lf,%lf,%lf", &step, &loss, &norm);
      points.emplace_back(loss, norm);
    }
    return points;
  }

  // The pictures that the runs "one" and "two" have drawn.
  void expect_same_samples(size_t count) const {
    const Words names = names_in(folder_ / "one" / "samples");
    EXPECT_EQ(names.size(), count);
    ASSERT_EQ(names_in(folder_ / "two" / "samples"), names);
    for (const std::string& name : names)
      EXPECT_EQ(read_bytes(folder_ / "one" / "samples" / name), read_bytes(folder_ / "two" / "samples" / name)) << name;
  }

  void expect_same_run(const std::string& one, const std::string& two, const std::string& file) const {
    const auto a = curve(one), b = curve(two);
    ASSERT_EQ(a.size(), b.size());
    ASSERT_FALSE(a.empty());
    for (size_t i = 0; i < a.size(); ++i) {
      EXPECT_NEAR(a[i].first, b[i].first, 1e-5 * a[i].first) << "loss of step " << i;
      EXPECT_NEAR(a[i].second, b[i].second, 1e-4 * a[i].second) << "norm of step " << i;
    }
    const auto of_one = io::open_checkpoint(folder_ / one / file), of_two = io::open_checkpoint(folder_ / two / file);
    // All values together: where a gradient is only rounding error, like a bias's before a norm, Adam still makes a
    // full step.
    double difference = 0.0, size = 0.0;
    for (const io::TensorInfo& info : of_one->tensors()) {
      const Tensor x = of_one->tensor(info.name), y = of_two->tensor(info.name);
      ASSERT_EQ(x.shape(), y.shape());
      if (x.dtype() != DType::kF32) continue;
      const HostView<float> of_x(x), of_y(y);
      for (int64_t i = 0; i < x.numel(); ++i) {
        difference += std::pow(double{of_x[i]} - of_y[i], 2);
        size += std::pow(double{of_x[i]}, 2);
      }
    }
    EXPECT_LT(std::sqrt(difference / size), 1e-5);
  }

  TempFolder folder_;
};

TEST_F(Ranks, TwoTrainADiffusionModelAsOneDoes) {
  const auto command = [&](const std::string& out, const char* batch) {
    return train_ldm(data(), folder_ / out) +
           Words{"--steps",         "6",    "--accumulate", "2",       "--train-text", "--flip",
                 "--checkpointing", "--lr", "1e-4",         "--batch", batch};
  };
  run_both(command("one", "4"), command("two", "2"));
  expect_same_run("one", "two", "model.safetensors");
}

TEST_F(Ranks, TwoTrainAnAutoencoderAsOneDoes) {
  const auto command = [&](const std::string& out, const char* batch) {
    return Words{SUMI_BINARY,
                 "train",
                 "autoencoder",
                 "--config",
                 std::string(SUMI_TEST_DATA) + "/tiny.yaml",
                 "--data",
                 data().string(),
                 "--out",
                 (folder_ / out).string(),
                 "--size",
                 "64",
                 "--crop",
                 "32",
                 "--steps",
                 "4",
                 "--disc-weight",
                 "0",
                 "--lr",
                 "1e-5",
                 "--batch",
                 batch};
  };
  run_both(command("one", "4"), command("two", "2"));
  expect_same_run("one", "two", "autoencoder.safetensors");
}

// One of the original's scripts, on the small model.
Words draw_small(const std::string& script, const Words& more) {
  return Words{SUMI_BINARY,
               script,
               "--ckpt",
               synthetic_model().string(),
               "--config",
               std::string(SUMI_TEST_DATA) + "/tiny.yaml",
               "--tokenizer",
               byte_tokenizer().string(),
               "--steps",
               "3",
               "--W",
               "64",
               "--H",
               "64",
               "--skip_grid",
               "--threads",
               "1"} +
         more;
}

TEST_F(Ranks, TwoDrawThePromptsOfAFileAsOneDoes) {
  write_file(folder_ / "prompts.txt", "an apple\na pear\na plum\na fig\na lime\n");
  const auto command = [&](const std::string& out) {
    return draw_small("txt2img",
                      {"--from-file", (folder_ / "prompts.txt").string(), "--outdir", (folder_ / out).string(),
                       "--n_samples", "2", "--n_iter", "1", "--sampler", "euler_ancestral"});
  };
  run_both(command("one"), command("two"));
  expect_same_samples(5);
}

// One rank for each of two commands.
Words side_by_side(const Words& one, const Words& other) {
  Words each = mpirun();
  each.back() = "1";
  return each + one + Words{":", "-np", "1"} + other;
}

TEST_F(Ranks, ARankThatWasStartedOtherwiseEndsAll) {
  const auto command = [&](const std::string& out, const Words& more) {
    return train_ldm(data(), folder_ / out) + Words{"--batch", "1", "--threads", "1"} + more;
  };
  const Outcome seeds =
      run_program(side_by_side(command("a", {"--steps", "2"}), command("a", {"--steps", "2", "--seed", "1"})));
  EXPECT_NE(seeds.code, 0);
  EXPECT_NE(seeds.err.find("different data, models or options"), std::string::npos) << seeds.err;
  const Outcome begun = run_program(mpirun() + command("b", {"--steps", "1"}));
  ASSERT_EQ(begun.code, 0) << begun.err;
  // The second does not see the first one's folder.
  fs::create_directories(folder_ / "elsewhere");
  const Outcome folders = run_program(
      side_by_side(command("b", {"--steps", "2", "--resume"}), command("elsewhere", {"--steps", "2", "--resume"})));
  EXPECT_NE(folders.code, 0);
  EXPECT_NE(folders.err.find("must be one folder"), std::string::npos) << folders.err;
  const Outcome gone_on = run_program(mpirun() + command("b", {"--steps", "2", "--resume"}));
  EXPECT_EQ(gone_on.code, 0) << gone_on.err;
}

TEST_F(Ranks, AFaultOfOneEndsAll) {
  const Outcome outcome =
      run_program(mpirun() + Words{SUMI_BINARY, "train", "ldm", "--ckpt", (folder_ / "none.ckpt").string(), "--data",
                                   data().string(), "--out", (folder_ / "out").string()});
  EXPECT_NE(outcome.code, 0);
  EXPECT_NE(outcome.err.find("none.ckpt"), std::string::npos) << outcome.err;
}

TEST_F(Ranks, TwoDrawEveryPictureOfAFolder) {
  const auto command = [&](const std::string& out) {
    return draw_small("img2img", {"--prompt", "a cat", "--init-img", data().string(), "--n_samples", "1", "--n_iter",
                                  "2", "--outdir", (folder_ / out).string()});
  };
  run_both(command("one"), command("two"));
  expect_same_samples(10);
}

// A picture's settings have that of the job plus the picture's number.
TEST_F(Ranks, TwoHaveOneRandomSubseed) {
  const auto subseed_of = [](const fs::path& file) {
    const std::string text = read_bytes(file);
    const std::string key = "Variation seed: ";
    const size_t at = text.find(key);
    return at == std::string::npos ? 0ull : std::stoull(text.substr(at + key.size(), 20));
  };
  int run = 0;
  for (const Words& varied :
       {Words{"--subseed", "-1", "--subseed-strength", "0.3"}, Words{"--subseed-strength", "0.3"}}) {
    const fs::path out = folder_ / ("out" + std::to_string(++run));
    const Outcome outcome = run_program(
        mpirun() + draw_small("img2img", Words{"--prompt", "a cat", "--init-img", (data() / "0.png").string(),
                                               "--n_samples", "1", "--n_iter", "2", "--outdir", out.string()} +
                                             varied));
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    const auto first = subseed_of(out / "samples/00000.png"), second = subseed_of(out / "samples/00001.png");
    EXPECT_GT(first, 0ull);
    EXPECT_EQ(second, first + 1);
  }
}

}  // namespace
}  // namespace sumi::test
