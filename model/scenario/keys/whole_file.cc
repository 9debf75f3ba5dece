// Keys of the file itself, of stated prices, and of how a scenario is simulated.
#include "model/scenario/keys/keys.h"
#include "model/scenario/names.h"

namespace rehearse::yaml {
namespace {

Section scenario() {
  return {
      "scenario",
      "The whole file: what is trained, on what, and which strategies are compared.",
      {
          needed("name", basic(Form::text), "what reports call it", "GPT-2 on one node"),
          optional("model", map_of("model"), "", "the network", "{kind: gpt}"),
          optional("training", map_of("training"), "", "what is trained on, and how",
                   "{data: synthetic, batch: 256, optimizer: {kind: sgd, lr: 0.1}}"),
          optional("cluster", map_of("cluster"), "", "the machines",
                   "{device: a100-sxm-80gb, devices_per_node: 8}"),
          optional("prices", map_of("prices"), "",
                   "times of a pipeline's passes, in place of a model on a cluster",
                   "{forward: 18 ms, input_gradient: 18 ms, weight_gradient: 9 ms}"),
          optional("simulation", map_of("simulation"), "", "how closely it is simulated",
                   "{collectives: fluid}"),
          needed("strategies", list_of(map_of("strategy"), 1),
                 "ways of splitting the training, which are compared", "[{name: ddp, data: auto}]"),
          optional("advise", map_of("advise"), "", "strategies that `rehearse advise` searches",
                   "{tensor: [1, 2, 4]}"),
          optional("sweep", map_of("sweep"), "", "values that `rehearse sweep` varies",
                   "{cluster.nodes: [1, 2, 4]}"),
      },
      {{"model", "training", "cluster"}, {"prices"}},
  };
}

Section prices() {
  const Type times = either({basic(Form::seconds), list_of(basic(Form::seconds), 1)});
  return {
      "prices",
      "Times of a pipeline's passes as papers state them: of each rank and micro-batch, one for "
      "all "
      "ranks or a list with one for each.",
      {
          needed("forward", times, "of a forward pass", "18.5 ms"),
          needed("input_gradient", times, "of backward, as far as the stage before waits for it",
                 "18.1 ms"),
          needed("weight_gradient", times, "of the rest of backward", "[9.3 ms, 9.4 ms]"),
          optional("transfer", basic(Form::seconds), "0 s", "of a message between two stages",
                   "0.6 ms"),
      },
  };
}

Section simulation() {
  constexpr std::int64_t kWarmUpAndOne = 3, kMostSteps = 1'000'000;
  return {
      "simulation",
      "How closely a scenario is simulated.",
      {
          optional(
              "collectives", one_of("way to play collectives", names_of(fidelities())), "stepwise",
              "message by message, as one flow over all their links, or in closed form", "fluid"),
          optional("detail", one_of("detail", names_of(kDetails)), "segment",
                   "every op of the plan, or exchanges of tensor parallelism as part of the passes",
                   "block"),
          optional("replicas", one_of("choice of replicas", names_of(kReplicas)), "all",
                   "every rank, or one of several replicas that do the same, or that one where it "
                   "can stand for all",
                   "first"),
          optional("steps", count({kWarmUpAndOne, kMostSteps}), "6", "steps that are played", "12"),
      },
  };
}

Section sweep() {
  Section section{
      "sweep",
      "Values that `rehearse sweep` varies: beside `when`, each key is a path of the scenario or a "
      "name of the user's; see scenarios/README.md.",
      {optional("when", either({basic(Form::text), list_of(basic(Form::text))}), "",
                "a condition that points have to meet, or several", "tensor * nodes <= 64")},
  };
  section.is_open = true;
  return section;
}

}  // namespace

std::vector<Section> whole_file_sections() {
  return {scenario(), prices(), simulation(), sweep()};
}

}  // namespace rehearse::yaml
