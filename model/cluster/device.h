// One kind of device (a GPU, or one rank's share of a CPU): what kernels on it cost.
//
// seconds(kernel of class k, F FLOPs, B bytes of memory traffic) is either
//   roofline:  max(F / compute_k, B / memory_k) + overhead_k    (Williams et al., CACM 2009)
//   additive:      F / compute_k + B / memory_k  + overhead_k   (what a fit to measurements gives)
// with the rates that kernels of the class reach, which are below the datasheet's peak.
//
// Where the device says how it cuts products (Tiling), F / compute is instead the time of their
// tiles: a product of [m, k] by [k, n] is ceil(m / tile m) ceil(n / tile n) of them, one processor
// works on one, and all work in waves, each as long as a whole one:
//   ceil(tiles / processors) 2 (tile m) (tile n) (k + fill) / (compute_k / processors)
// and of the shorter of that and B / memory a share is not hidden behind the longer: a tile's
// results are written when it is done. It is the tile that is fastest (NVIDIA, "Matrix
// Multiplication Background User's Guide", sections 3 and 4: tile and wave quantization), whose k
// may be cut in slices that work beside each other and whose sums are added in the end (split-K).
#pragma once

#include <array>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/base/data_type.h"
#include "model/base/diagnostic.h"
#include "model/base/units.h"
#include "model/net/layer.h"
#include "model/net/product.h"

namespace rehearse {

enum class DeviceKind { cpu, gpu };
enum class Combine { roofline, additive };
// Where a number comes from; every price carries it.
enum class Provenance { measured, published, assumed };
inline constexpr std::size_t kProvenanceCount = 3;
std::string_view to_string(DeviceKind kind);
std::string_view to_string(Combine combine);
std::string_view to_string(Provenance provenance);

struct KernelRate {
  FlopsPerSecond compute;
  BytesPerSecond memory;
  Seconds overhead;
  std::optional<Provenance> provenance = std::nullopt;  // none: the device's
};

struct Tile {
  std::int64_t m = 1, n = 1;
  friend bool operator==(const Tile&, const Tile&) = default;
};
struct Tiling {
  std::int64_t processors = 0;  // streaming multiprocessors, compute units; 0: nothing is known
  std::vector<Tile> tiles;      // that the library has
  double fill = 0;              // steps of k that take as long as filling a tile's pipeline
  double exposed = 0;  // share of memory's time that computing does not hide, or the other way
  // m n / (m + n): multiplications per operand, below which a tile waits for its operands.
  double intensity = 0;
};

// Another way to send the messages of a collective, as NCCL's LL and LL128: each word with a flag,
// so that less waiting is between two messages and fewer words fit into the links. Whichever way is
// fastest where nothing else is under way is taken, as a whole.
struct MessageProtocol {
  Seconds start;       // in place of Messaging's `collective`
  double latency = 1;  // share of the latencies of links and messages that is left
  double rate = 1;     // share of the links' rates that is

  friend bool operator==(const MessageProtocol&, const MessageProtocol&) = default;
};
// Null: no protocol.
inline double latency_share(const MessageProtocol* protocol) {
  return protocol == nullptr ? 1 : protocol->latency;
}
inline double rate_share(const MessageProtocol* protocol) {
  return protocol == nullptr ? 1 : protocol->rate;
}

// What a message costs the ranks' own threads, on machines where no other engine moves it. Zero on
// devices whose network works beside them.
struct Messaging {
  Seconds latency;           // from the send's start to the first byte's arrival
  Seconds per_message;       // of each side's thread
  Seconds send_per_byte;     // of the sender's thread
  Seconds receive_per_byte;  // of the receiver's thread
  Seconds reduce_per_byte;   // adding a received chunk to one's own
  // From a collective's start on its last member to its first message: launching its kernels, and
  // for each byte of the first range that a member sends (model/collective/first_range.h).
  Seconds collective = {};
  Seconds first_per_byte = {};
  std::vector<MessageProtocol> protocols = {};  // beside what all this says
};

// How far off predictions with a profile are: standard deviations of log(measured / predicted), of
// all computing on the device by one common factor, of all messages by another, and of one
// prediction by itself (cost/error_band.h says how they add up).
struct PredictionErrors {
  double computing = 0, messages = 0, strategy = 0;
  friend bool operator==(const PredictionErrors&, const PredictionErrors&) = default;
};
// No profile is worth anything beyond it: a factor of 7.
inline constexpr double kMostError = 2;

// US dollars for an hour of one device, as its user is charged.
struct HourlyPrice {
  double dollars = 0;
  friend bool operator==(const HourlyPrice&, const HourlyPrice&) = default;
};
// "2.5 USD/h"; empty when the text is no such price.
std::optional<HourlyPrice> parse_hourly_price(std::string_view text);

struct Device {
  std::string name;
  DeviceKind kind = DeviceKind::gpu;
  std::string source;  // the datasheet, or the measurement
  Provenance provenance = Provenance::assumed;
  Bytes memory;                             // of one device; of the whole node for CPUs
  BytesPerSecond memory_bandwidth;          // the node's, for CPUs: all ranks share it
  std::map<DataType, FlopsPerSecond> peak;  // dense, without sparsity; per core for CPUs
  Combine combine = Combine::roofline;
  // The type that the kernels' rates are for; none: whatever is trained in.
  std::optional<DataType> rates_for;
  std::array<KernelRate, kKernelClassCount> kernels{};
  Tiling tiling;
  // The host's time to queue a kernel, where the device works behind it: a long row of small
  // kernels takes no less. Zero: the host runs them itself, or it is not known.
  Seconds launch;
  Messaging messaging;
  // CPUs: capacity[k-1] is how much work k busy ranks of one node do together, in units of what one
  // does alone (measured); beyond the last entry it stays. Empty: every rank has a device of its
  // own.
  std::vector<double> capacity;
  Bytes workspace;  // of libraries, per rank
  // What a process has on its device before any tensor: the driver's context, libraries' code.
  Bytes context;
  // What an allocator loses between tensors, as a share of the arena; 0: the arena is laid out
  // beforehand, as the executor does it.
  double fragmentation = 0;
  // GPUs: the share of its speed that computing loses while a message of the rank's is under way,
  // since copies and collectives' kernels take memory bandwidth and processors.
  double overlap_slowdown = 0;
  // Of NCCL, for each rank that one exchanges messages with; 0: they go another way.
  Bytes communicator;
  std::optional<PredictionErrors> errors;  // none: nobody knows, and predictions have no band
  std::optional<HourlyPrice> price;        // none: nobody has said
};

// Sets the rates for training in this type: those of convolutions, matrix products and attention
// scale with the type's peak, the others are bound by memory; attention does not multiply in fp8.
// Errors: the peak of a type is missing where they differ.
Status set_type(Device& device, DataType type);

const KernelRate& rate_of(const Device& device, KernelClass kernel);
Provenance provenance_of(const Device& device, KernelClass kernel);
// products: of the kernel, none: whatever it does, its FLOPs and bytes are all that counts. Grows
// with every extent, and is never less than F / compute.
Seconds price(const Device& device, KernelClass kernel, Flops flops, Bytes traffic,
              std::span<const Product> products = {});
// Of its tiles alone, at so many FLOP/s of all processors on an endless product.
Seconds tiled_seconds(const Device& device, FlopsPerSecond rate, const Product& product);

}  // namespace rehearse
