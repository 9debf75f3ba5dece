// Text as token numbers, of which bytes are the simplest; the label of a position is the next
// token.
//
// The text is cut into samples one after the other, each as long as the network's sequence and with
// one token more for the last label; the last tenth of it is the test set. Whatever is left of a
// part at its end is in no sample.
#pragma once

#include "exec/data/dataset.h"

namespace rehearse::exec {

inline constexpr std::int64_t kByteTokens = 256;

// The King James Bible (4.4 MB, public domain in most places), a verse a line, as Debian's program
// bible (package bible-kjv) prints it from package bible-kjv-text.
Result<std::unique_ptr<Dataset>> open_bible(const DatasetRequest& request);
// All files *.txt of the request's directory, in the order of their names.
Result<std::unique_ptr<Dataset>> open_text(const DatasetRequest& request);
// The same files in UTF-8, but for merges.txt, as tokens of the vocabulary that lies beside them:
// vocab.bpe or merges.txt (byte_pairs.h).
Result<std::unique_ptr<Dataset>> open_text_bpe(const DatasetRequest& request);

}  // namespace rehearse::exec
