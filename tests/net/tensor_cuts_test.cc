// Where tensor parallelism cuts a transformer, and whose gradients are terms of a sum then.
#include <gtest/gtest.h>

#include <algorithm>

#include "model/net/net_builder.h"
#include "model/net/tensor.h"
#include "tests/net/sharded_net.h"

namespace rehearse {
namespace {

const Layer& layer_named(const Net& net, const std::string& name) {
  const auto found = std::find_if(net.layers.begin(), net.layers.end(),
                                  [&](const Layer& layer) { return layer.name == name; });
  EXPECT_NE(found, net.layers.end()) << name;
  return *found;
}

// "attention.in: norm1", a line for each segment of the block, without the block's name.
std::vector<std::string> outline(const Net& net, const std::string& block) {
  std::vector<std::string> lines;
  for (const Segment& segment : net.segments) {
    if (net.blocks[segment.block.index()].name != block) continue;
    std::string line = segment.name.substr(block.size() + 1) + ":";
    for (const LayerId id : segment.layers)
      line += " " + net.layers[id.index()].name.substr(block.size() + 1);
    lines.push_back(line);
  }
  return lines;
}

TEST(Cuts, StandWhereRanksExchange) {
  const Net gpt = *shard(testing::transformer("gpt"), 2, false);
  EXPECT_EQ(outline(gpt, "embedding"),
            (std::vector<std::string>{"embedding: token", "embedding.out: position"}));
  EXPECT_EQ(outline(gpt, "decoder1"),
            (std::vector<std::string>{"attention.in: norm1", "attention: qkv attention projection",
                                      "ffn.in: add1 norm2", "ffn: up gelu down", "ffn.out: add2"}));
  EXPECT_EQ(outline(gpt, "head"), (std::vector<std::string>{"head.in: norm", "head: linear loss"}));
  const Net llama = *shard(testing::transformer("llama"), 2, false);
  EXPECT_EQ(outline(llama, "embedding"), (std::vector<std::string>{"embedding: token"}));
  EXPECT_EQ(outline(llama, "decoder2"),
            (std::vector<std::string>{
                "attention.in: norm1", "attention: qkv rotary attention projection",
                "ffn.in: add1 norm2", "ffn: gate up swiglu down", "ffn.out: add2"}));
}

TEST(Cuts, HaveCollectivesOfTheirOwnWithSequenceParallelism) {
  const Net gpt = *shard(testing::transformer("gpt"), 2, true);
  EXPECT_EQ(outline(gpt, "embedding"),
            (std::vector<std::string>{"embedding: token", "embedding.scatter: embedding.scatter",
                                      "embedding.out: position"}));
  EXPECT_EQ(outline(gpt, "decoder1"),
            (std::vector<std::string>{"attention.in: norm1", "attention.gather: attention.gather",
                                      "attention: qkv attention projection",
                                      "attention.scatter: attention.scatter", "ffn.in: add1 norm2",
                                      "ffn.gather: ffn.gather", "ffn: up gelu down",
                                      "ffn.scatter: ffn.scatter", "ffn.out: add2"}));
  EXPECT_EQ(outline(gpt, "head"), (std::vector<std::string>{"head.in: norm",
                                                            "head.gather: "
                                                            "head.gather",
                                                            "head: linear loss"}));
}

// Two parts with nothing between them, in one segment of the full network: the rows are handed out
// and gathered again, since the second part's input is a value that others may read.
TEST(Cuts, StandBetweenPartsThatTouch) {
  NetBuilder builder("touching", {{8}}, ValueType::index, {{8}});
  builder.begin_block("all");
  builder.begin_segment("all");
  ValueId x = builder.add("token", Embedding{10, 16}, {builder.input()});
  x = builder.add("qkv", Linear{16, 48, false}, {x});
  x = builder.add("attention", Attention{2, 2, 8, true, true}, {x});
  x = builder.add("projection", Linear{16, 16, false}, {x});
  x = builder.add("head", Linear{16, 10, false}, {x});
  const Net full = builder.finish(builder.add("loss", CrossEntropy{10}, {x, builder.labels()}));
  const Net net = *shard(full, 2, true);
  EXPECT_EQ(
      outline(net, "all"),
      (std::vector<std::string>{"all: token", "all.scatter: all.scatter", "all.gather: all.gather",
                                "all: qkv attention projection", "all.scatter: all.scatter",
                                "all.gather: all.gather", "all: head loss"}));
  testing::expect_shapes_fit(net);
  testing::expect_every_segment_lowers(net);
}

TEST(Spread, FollowsWhoComputesTheGradient) {
  for (const bool sequence_parallel : {false, true}) {
    const Net net = *shard(testing::transformer("gpt"), 2, sequence_parallel);
    const auto spread = [&](const std::string& layer, std::size_t parameter) {
      return net.parameters[layer_named(net, layer).parameters[parameter].index()].spread;
    };
    // On all rows every rank finds the same gradient, on its own rows a term of it.
    const Spread whole = sequence_parallel ? Spread::partial : Spread::replicated;
    EXPECT_EQ(spread("decoder1.norm1", 0), whole);
    EXPECT_EQ(spread("decoder1.norm2", 1), whole);
    EXPECT_EQ(spread("embedding.position", 0), whole);
    EXPECT_EQ(spread("decoder1.projection", 1), whole);
    EXPECT_EQ(spread("decoder1.down", 1), whole);
    EXPECT_EQ(spread("decoder1.qkv", 0), Spread::sliced);
    EXPECT_EQ(spread("decoder1.qkv", 1), Spread::sliced);
    EXPECT_EQ(spread("decoder1.projection", 0), Spread::sliced);
    EXPECT_EQ(spread("embedding.token", 0), Spread::sliced);
    // The head shares the table.
    EXPECT_EQ(layer_named(net, "head.linear").parameters,
              layer_named(net, "embedding.token").parameters);
  }
}

}  // namespace
}  // namespace rehearse
