// Many jobs at once on one model: each gives the bytes it gives alone. `./ci.sh soak-jobs` runs 50 a thread under the
// thread and the address sanitizers; SUMI_SOAK_JOBS sets the number.
#include <gtest/gtest.h>
#include <malloc.h>

#include <cstdlib>
#include <random>
#include <thread>

#include "core/host_memory.h"
#include "tests/support/tiny_engine.h"

namespace sumi {
namespace {

constexpr int kThreads = 4;

int jobs_of_a_thread() {
  const char* jobs = std::getenv("SUMI_SOAK_JOBS");
  return jobs == nullptr ? 12 : std::max(1, std::atoi(jobs));
}
const int kJobs = jobs_of_a_thread();

// A kind of job, and the pictures it gives when nothing else runs.
struct Kind {
  Request request;
  std::vector<Image> expected;
};

std::vector<Kind> kinds(const std::string& lora) {
  std::vector<Kind> out;
  for (const char* sampler : {"ddim", "euler_ancestral", "dpmpp_2m", "unipc"}) {
    for (const int64_t side : {32, 64}) {
      for (const bool with_lora : {false, true}) {
        Request request{.prompts = {"a (red:1.3) cat", "a dog"}, .width = side, .height = 64, .sampler = sampler};
        request.steps = 3;
        request.seed = static_cast<uint64_t>(out.size());
        request.batch = 1 + static_cast<int64_t>(out.size()) % 2;
        request.seeding = out.size() % 3 == 0 ? "picture" : "run";
        if (with_lora) request.loras = {{lora, 0.7}};
        out.push_back({request, {}});
      }
    }
  }
  return out;
}

class Soak {
 public:
  Soak(const Model& model, const std::vector<Kind>& all) : model_(model), kinds_(all) {}

  // One thread's jobs; a third is cancelled at a random step.
  void work(unsigned seed) {
    std::mt19937 random(seed);
    for (int i = 0; i < kJobs; ++i) {
      const Kind& kind = kinds_[random() % kinds_.size()];
      const int stop_after = random() % 3 == 0 ? static_cast<int>(random() % 6) : -1;
      run(kind, stop_after);
    }
  }

  int finished = 0, cancelled = 0, wrong = 0;

 private:
  void run(const Kind& kind, int stop_after) {
    Job job = model_.prepare(kind.request);
    int calls = 0;
    size_t place = 0;
    bool same = true;
    try {
      job.run({.step =
                   [&](const Step&) {
                     if (calls++ == stop_after) job.cancel();
                   },
               .picture = [&](Picture&& picture) { same &= picture.image == kind.expected.at(place++); }});
      ++finished;
      same &= place == kind.expected.size();
    } catch (const Error& error) {
      same &= error.kind() == ErrorKind::kCancelled && stop_after >= 0;
      ++cancelled;
    }
    wrong += same ? 0 : 1;
  }

  Model model_;
  const std::vector<Kind>& kinds_;
};

int64_t resident_bytes() {
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  long total = 0, resident = 0;
  if (file == nullptr || std::fscanf(file, "%ld %ld", &total, &resident) != 2) resident = 0;
  if (file != nullptr) std::fclose(file);
  return resident * 4096;
}

TEST(Soak, JobsAtOnceGiveTheBytesTheyGiveAlone) {
  test::TempFolder folder;
  tools::write_byte_vocabulary(folder.path());
  test::write_tiny_lora(folder / "style.safetensors", 4);
  Engine engine({.threads = 2});
  const Model model = engine.open(test::tiny_options(folder.path()));
  std::vector<Kind> all = kinds((folder / "style.safetensors").string());
  for (Kind& kind : all) {
    for (Picture& picture : test::draw(model, kind.request)) kind.expected.push_back(std::move(picture.image));
  }
  int64_t resident = 0;
  int64_t live = 0;
  for (int round = 0; round < 2; ++round) {
    std::vector<Soak> soaks(kThreads, Soak(model, all));
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < kThreads; ++i)
      threads.emplace_back([&, i] { soaks[i].work(static_cast<unsigned>(round) * kThreads + i); });
    for (std::thread& thread : threads) thread.join();
    int finished = 0, cancelled = 0;
    for (const Soak& soak : soaks) {
      EXPECT_EQ(soak.wrong, 0);
      finished += soak.finished;
      cancelled += soak.cancelled;
    }
    EXPECT_EQ(finished + cancelled, kThreads * kJobs);
    EXPECT_GT(cancelled, kThreads * kJobs / 6);
    malloc_trim(0);  // what the C library keeps of freed memory depends on which jobs met
    std::printf("%d jobs finished, %d cancelled; %lld MB resident\n", finished, cancelled,
                static_cast<long long>(resident_bytes() >> 20));
    // The second round needs no more memory than the first left; nothing of a job stays alive.
    if (round == 1) {
      EXPECT_LE(resident_bytes(), resident + resident / 10 + (16 << 20));
      EXPECT_EQ(host_memory().live_bytes, live);
    }
    resident = resident_bytes();
    live = host_memory().live_bytes;
  }
}

}  // namespace
}  // namespace sumi
