#include "model/schedule/schedule_csv.h"

#include <gtest/gtest.h>

#include <string>

namespace rehearse {
namespace {

// What reading a file comes to: its shape, or the errors.
std::string read(const std::string& text) {
  const Result<ScheduleTable> table = parse_schedule_csv(text, "s.csv");
  if (!table) return format(table.errors());
  const Result<PipelineShape> shape = shape_of(*table);
  if (!shape) return format(shape.errors());
  return std::to_string(shape->ranks) + " ranks, " + std::to_string(shape->chunks) + " chunks, " +
         std::to_string(shape->micro_batches) + " micro-batches, " +
         (shape->placement == Placement::loop ? "loop" : "vee");
}

// Two ranks with one stage each, with everything that PyTorch's lowering adds for sharded stages.
constexpr const char* kComplete =
    "0UNSHARD,0F0,0SEND_F0,0F1,0SEND_F1,0RECV_B0,0B0,0RECV_B1,0B1,0REDUCE_GRAD,0RESHARD\n"
    "1UNSHARD,1RECV_F0,1F0,1I0,1SEND_B0,1RECV_F1,1F1,1W0,1I1,1SEND_B1,1W1,1REDUCE_GRAD,1RESHARD\n";

// kComplete after one edit.
std::string edited(const std::string& from, const std::string& to) {
  std::string text = kComplete;
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(ScheduleCsv, ReadsBothForms) {
  EXPECT_EQ(read("0F0,0F1,,0B0,0B1\n1F0,1B0,1F1,1B1\n"),
            "2 ranks, 1 chunks, 2 micro-batches, loop");
  // As Python's csv.writer ends lines.
  EXPECT_EQ(read("0F0, 2F0 ,2B0,0B0\r\n1F0,3F0,3I0,3W0,1B0\r\n"),
            "2 ranks, 2 chunks, 1 micro-batches, loop");
  EXPECT_EQ(read("0F0,3F0,3B0,0B0\n1F0,2F0,2B0,1B0"), "2 ranks, 2 chunks, 1 micro-batches, vee");
  EXPECT_EQ(read(kComplete), "2 ranks, 1 chunks, 2 micro-batches, loop");
}

TEST(ScheduleCsv, PrintsWhatItRead) {
  const Result<ScheduleTable> table = parse_schedule_csv(kComplete, "s.csv");
  ASSERT_TRUE(table.ok());
  EXPECT_TRUE(table->has_messages);
  EXPECT_EQ(print_schedule_csv(*table), kComplete);
  const ScheduleTable passes = without_messages(*table);
  EXPECT_FALSE(passes.has_messages);
  EXPECT_EQ(print_schedule_csv(passes), "0F0,0F1,0B0,0B1\n1F0,1I0,1F1,1W0,1I1,1W1\n");
}

// The messages that add_messages() puts into our own schedules are right by these rules, whichever
// form is read back.
TEST(ScheduleCsv, OwnSchedulesAreRight) {
  for (const PipelineSchedule& schedule : pipeline_schedules()) {
    PipelineRequest request;
    request.shape = {4, schedule.fewest_chunks, 8, schedule.placement};
    if (schedule.needs_costs || !schedule.check(request.shape)) continue;
    const auto slots = schedule.order(request);
    const ScheduleTable table{add_messages(request.shape, slots), true};
    for (const ScheduleTable& form : {table, without_messages(table)}) {
      const auto parsed = parse_schedule_csv(print_schedule_csv(form), "printed.csv");
      ASSERT_TRUE(parsed.ok()) << schedule.name << format(parsed.errors());
      EXPECT_EQ(parsed->ranks, form.ranks);
      EXPECT_EQ(parsed->has_messages, form.has_messages);
      const auto shape = shape_of(*parsed);
      ASSERT_TRUE(shape.ok()) << schedule.name << format(shape.errors());
      EXPECT_EQ(shape->ranks, request.shape.ranks);
      EXPECT_EQ(shape->chunks, request.shape.chunks);
      EXPECT_EQ(shape->micro_batches, request.shape.micro_batches);
      EXPECT_EQ(shape->placement, request.shape.placement);
    }
  }
}

// pytorch/pytorch#172668: rank 0 sends (0SEND_F1) before it receives what rank 1 sends (1SEND_F0)
// before it receives that (1RECV_F1). Where one stream carries all messages of a rank and a send
// blocks until it is received, both ranks wait for ever. Our plans have a lane per stage and
// direction: 2RECV_F0 is in another one than 0SEND_F1, so both are under way at once and the
// schedule is right.
TEST(ScheduleCsv, CrossingMessagesHaveTheirOwnStreams) {
  EXPECT_EQ(read("0F0,0SEND_F0,0F1,0SEND_F1,2RECV_F0,2F0,2SEND_F0,2RECV_F1,2F1,2SEND_F1,"
                 "2RECV_B0,2B0,2SEND_B0,2RECV_B1,2B1,2SEND_B1,0RECV_B0,0B0,0RECV_B1,0B1\n"
                 "1RECV_F0,1F0,1SEND_F0,1RECV_F1,1F1,1SEND_F1,3RECV_F0,3F0,3B0,3SEND_B0,"
                 "3RECV_F1,3F1,3B1,3SEND_B1,1RECV_B0,1B0,1SEND_B0,1RECV_B1,1B1,1SEND_B1\n"),
            "2 ranks, 2 chunks, 2 micro-batches, loop");
}

struct Bad {
  std::string text, error;
};

TEST(ScheduleCsv, PointsAtWhatIsMalformed) {
  const std::vector<Bad> cases = {
      {"", "s.csv:1:1: error: expected a row per rank, got nothing\n"},
      {"0F0,0X0\n",
       "s.csv:1:6: error: there is no action type 'X'\n"
       "    1 | 0F0,0X0\n"
       "      |      ^\n"},
      {"0F0,0SENDF0\n",
       "s.csv:1:6: error: there is no action type 'SENDF'; did you mean 'SEND_F'?\n"
       "    1 | 0F0,0SENDF0\n"
       "      |      ^~~~~\n"},
      {"0F0, F0\n",
       "s.csv:1:6: error: expected an action such as 2F0, 1UNSHARD or 3SEND_F1, got 'F0'\n"
       "    1 | 0F0, F0\n"
       "      |      ^~\n"},
      {"0F\n",
       "s.csv:1:1: error: expected a micro-batch's number after 'F', got '0F'\n"
       "    1 | 0F\n"
       "      | ^~\n"},
      {"0UNSHARD1\n",
       "s.csv:1:1: error: expected no micro-batch after 'UNSHARD', got '0UNSHARD1'\n"
       "    1 | 0UNSHARD1\n"
       "      | ^~~~~~~~~\n"},
      // PyTorch reads 0F0 here.
      {"0F0B\n",
       "s.csv:1:3: error: expected a micro-batch's number, got '0B'\n"
       "    1 | 0F0B\n"
       "      |   ^~\n"},
      {"(0F3;3B1)OVERLAP_F_B\n",
       "s.csv:1:1: error: joint actions are not supported, got '(0F3;3B1)OVERLAP_F_B'; write its "
       "parts as cells of their own, in the order in which they run\n"
       "    1 | (0F3;3B1)OVERLAP_F_B\n"
       "      | ^~~~~~~~~~~~~~~~~~~~\n"},
      {"0F0,0B0\n\n1F0,1B0\n", "s.csv:2:1: error: expected the actions of a rank, got none\n"},
      {"0F0,,0SEND_F0\n",
       "s.csv:1:5: error: idle steps may stand only in a schedule without messages\n"
       "    1 | 0F0,,0SEND_F0\n"
       "      |     ^\n"},
  };
  for (const Bad& bad : cases)
    EXPECT_EQ(read(bad.text), bad.error);
}

TEST(ScheduleCsv, PointsAtBothEndsOfWrongPasses) {
  const std::vector<Bad> cases = {
      {"0F0,0B0\n0F1,0B1\n",
       "s.csv:2:1: error: stage 0 stands on rank 0 and on rank 1\n"
       "    2 | 0F1,0B1\n"
       "      | ^~~\n"
       "s.csv:1:1: note: 0F0 (rank 0, action 1) is its first\n"
       "    1 | 0F0,0B0\n"
       "      | ^~~\n"
       "s.csv:2:5: error: stage 0 stands on rank 0 and on rank 1\n"
       "    2 | 0F1,0B1\n"
       "      |     ^~~\n"
       "s.csv:1:1: note: 0F0 (rank 0, action 1) is its first\n"
       "    1 | 0F0,0B0\n"
       "      | ^~~\n"},
      {"0F0,0B0\n2F0,2B0\n",
       "s.csv:2:1: error: stage 1 is missing, but 2F0 (rank 1, action 1) is there\n"
       "    2 | 2F0,2B0\n"
       "      | ^~~\n"},
      {"1F0,1B0\n0F0,0B0\n",
       "s.csv:2:1: error: stage 0 stands on rank 1; in a loop it would be on rank 0\n"
       "    2 | 0F0,0B0\n"
       "      | ^~~\n"
       "s.csv:2:1: note: stage 0 stands on rank 1; in a vee it would be on rank 0\n"
       "    2 | 0F0,0B0\n"
       "      | ^~~\n"},
      {"0F0,1F0,1B0,0B0\n2F0,2B0\n", "error: 3 stages do not share 2 ranks evenly\n"},
      {"0F0,0F2,0B0,0B2\n",
       "s.csv:1:5: error: micro-batch 1 is missing, but 0F2 (rank 0, action 2) is there\n"
       "    1 | 0F0,0F2,0B0,0B2\n"
       "      |     ^~~\n"},
      {"0F0,0B0,0B0\n",
       "s.csv:1:9: error: 0B0 (rank 0, action 3) is there twice\n"
       "    1 | 0F0,0B0,0B0\n"
       "      |         ^~~\n"
       "s.csv:1:5: note: 0B0 (rank 0, action 2) is the first\n"
       "    1 | 0F0,0B0,0B0\n"
       "      |     ^~~\n"},
      {"0B0,0F0\n",
       "s.csv:1:1: error: 0B0 (rank 0, action 1) stands before what it needs\n"
       "    1 | 0B0,0F0\n"
       "      | ^~~\n"
       "s.csv:1:5: note: it needs 0F0 (rank 0, action 2)\n"
       "    1 | 0B0,0F0\n"
       "      |     ^~~\n"},
      {"0F0,0B0,0W0\n",
       "s.csv:1:9: error: 0W0 (rank 0, action 3) is part of a backward pass that also runs whole\n"
       "    1 | 0F0,0B0,0W0\n"
       "      |         ^~~\n"
       "s.csv:1:5: note: as 0B0 (rank 0, action 2)\n"
       "    1 | 0F0,0B0,0W0\n"
       "      |     ^~~\n"
       "s.csv:1:1: error: rank 0, which has stage 0, has no 0I0\n"
       "    1 | 0F0,0B0,0W0\n"
       "      | ^~~\n"},
      {"0F0,0W0,0I0\n",
       "s.csv:1:5: error: 0W0 (rank 0, action 2) stands before what it needs\n"
       "    1 | 0F0,0W0,0I0\n"
       "      |     ^~~\n"
       "s.csv:1:9: note: it needs 0I0 (rank 0, action 3)\n"
       "    1 | 0F0,0W0,0I0\n"
       "      |         ^~~\n"},
      {"0F0,0I0\n",
       "s.csv:1:1: error: rank 0, which has stage 0, has no 0W0\n"
       "    1 | 0F0,0I0\n"
       "      | ^~~\n"},
      {"0F0,0F1,0B0\n",
       "s.csv:1:1: error: rank 0, which has stage 0, has no 0B1\n"
       "    1 | 0F0,0F1,0B0\n"
       "      | ^~~\n"},
      // Rank 1 wants the gradient of micro-batch 1 first, rank 0 runs that only after 0.
      {"0F0,0B0,0F1,0B1\n1F1,1B1,1F0,1B0\n",
       "s.csv:1:5: error: deadlock: 0B0 (rank 0, action 2) waits for 1B0 (rank 1, action 4)\n"
       "    1 | 0F0,0B0,0F1,0B1\n"
       "      |     ^~~\n"
       "s.csv:2:13: note: 1B0 (rank 1, action 4) waits for 1F0 (rank 1, action 3)\n"
       "    2 | 1F1,1B1,1F0,1B0\n"
       "      |             ^~~\n"
       "s.csv:2:9: note: 1F0 (rank 1, action 3) waits for 1B1 (rank 1, action 2)\n"
       "    2 | 1F1,1B1,1F0,1B0\n"
       "      |         ^~~\n"
       "s.csv:2:5: note: 1B1 (rank 1, action 2) waits for 1F1 (rank 1, action 1)\n"
       "    2 | 1F1,1B1,1F0,1B0\n"
       "      |     ^~~\n"
       "s.csv:2:1: note: 1F1 (rank 1, action 1) waits for 0F1 (rank 0, action 3)\n"
       "    2 | 1F1,1B1,1F0,1B0\n"
       "      | ^~~\n"
       "s.csv:1:9: note: 0F1 (rank 0, action 3) waits for 0B0 (rank 0, action 2)\n"
       "    1 | 0F0,0B0,0F1,0B1\n"
       "      |         ^~~\n"},
  };
  for (const Bad& bad : cases)
    EXPECT_EQ(read(bad.text), bad.error);
}

struct BadEdit {
  std::string from, to;
  std::vector<std::string> said;  // first lines of the error and its note, without the place
};

// The first error and its notes.
TEST(ScheduleCsv, PointsAtBothEndsOfWrongMessages) {
  const std::vector<BadEdit> cases = {
      {"1RECV_F1,", "", {"0SEND_F1 (rank 0, action 5): rank 1 has no 1RECV_F1 for it"}},
      {"0SEND_F1,", "", {"1RECV_F1 (rank 1, action 6): rank 0 has no 0SEND_F1 for it"}},
      {"0SEND_F1,",
       "0SEND_F1,0SEND_F1,",
       {"0SEND_F1 (rank 0, action 6) is there twice", "0SEND_F1 (rank 0, action 5) is the first"}},
      {"0SEND_F1,", "0SEND_F1,0SEND_F2,", {"0SEND_F2 (rank 0, action 6): rank 1 has no 1RECV_F2"}},
      {"1F1,", "1F1,1SEND_F1,", {"1SEND_F1 (rank 1, action 8): there is no stage after stage 1"}},
      {"0F1,0SEND_F1",
       "0SEND_F1,0F1",
       {"0SEND_F1 (rank 0, action 4) sends what is not made yet",
        "0F1 (rank 0, action 5) makes it"}},
      {"1RECV_F1,1F1",
       "1F1,1RECV_F1",
       {"1RECV_F1 (rank 1, action 7) comes after the pass", "1F1 (rank 1, action 6) needs it"}},
      {"0RECV_B0,0B0,0RECV_B1,",
       "0RECV_B1,0RECV_B0,0B0,",
       {"0RECV_B1 (rank 0, action 6) is not the next that rank 1 sends",
        "1SEND_B0 (rank 1, action 5) is"}},
      {"0B0,",
       "0B0,0RESHARD,",
       {"0B1 (rank 0, action 10) needs parameters that are not there",
        "0RESHARD (rank 0, action 8) freed them"}},
      {"0UNSHARD,", "", {"0F0 (rank 0, action 1) needs parameters that are not there"}},
      {"0UNSHARD,",
       "0UNSHARD,0UNSHARD,",
       {"0UNSHARD (rank 0, action 2) gathers parameters that are there",
        "since 0UNSHARD (rank 0, action 1)"}},
      {"0B1,0REDUCE_GRAD",
       "0REDUCE_GRAD,0B1",
       {"0REDUCE_GRAD (rank 0, action 9) comes before the stage's last gradients",
        "0B1 (rank 0, action 10) makes them"}},
  };
  for (const BadEdit& bad : cases) {
    const auto table = parse_schedule_csv(edited(bad.from, bad.to), "s.csv");
    ASSERT_TRUE(table.ok()) << format(table.errors());
    const auto shape = shape_of(*table);
    ASSERT_FALSE(shape.ok()) << bad.from << " -> " << bad.to;
    const Diagnostic& first = shape.errors().front();
    EXPECT_TRUE(first.message.starts_with(bad.said[0])) << first.message;
    ASSERT_EQ(first.notes.size() + 1, bad.said.size()) << format(first);
    for (std::size_t i = 1; i < bad.said.size(); ++i)
      EXPECT_EQ(first.notes[i - 1].message, bad.said[i]);
    EXPECT_TRUE(first.where.has_value());
  }
  EXPECT_TRUE(read("0F0,0B0\n1F0,1SEND_B0,1B0\n")
                  .find("needs a message from rank 0: there is neither 0SEND_F0 nor 1RECV_F0") !=
              std::string::npos);
  EXPECT_TRUE(read("0F0,0SEND_F0,1F0,1B0,0B0\n")
                  .starts_with("s.csv:1:5: error: 0SEND_F0 (rank 0, action 2): stages 0 and 1 are "
                               "both on rank 0\n"));
}

// Both ends of the stream agree and no pass is out of order, but micro-batch 0 stands behind 1 in
// it: 0F1 comes after 0B0, which needs 1F0, which needs 1RECV_F0, which follows 1RECV_F1.
TEST(ScheduleCsv, FindsDeadlocksInStreams) {
  const std::string said = read(
      "0F0,0RECV_B0,0B0,0F1,0SEND_F1,0SEND_F0,0RECV_B1,0B1\n"
      "1RECV_F1,1RECV_F0,1F0,1B0,1SEND_B0,1F1,1B1,1SEND_B1\n");
  EXPECT_TRUE(said.find("error: deadlock: ") != std::string::npos) << said;
  EXPECT_TRUE(said.find("1RECV_F0 (rank 1, action 2) waits for 1RECV_F1 (rank 1, action 1)") !=
              std::string::npos)
      << said;
}

// Tables that no file is behind have errors without places.
TEST(ScheduleCsv, NamesActionsWhereThereIsNoFile) {
  const ScheduleTable table{{{{ActionKind::backward, StageId(0), MicroBatchId(0)},
                              {ActionKind::forward, StageId(0), MicroBatchId(0)}}}};
  EXPECT_EQ(format(shape_of(table).errors()),
            "error: 0B0 (rank 0, action 1) stands before what it needs\n"
            "note: it needs 0F0 (rank 0, action 2)\n");
  EXPECT_EQ(format(shape_of(ScheduleTable{}).errors()), "error: a schedule without passes\n");
}

}  // namespace
}  // namespace rehearse
