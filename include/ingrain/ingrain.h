// The public interface of ingrain, all of it but what needs libtorch's headers (tensors.h, learner.h). examples/embed
// shows a small program.
#pragma once

#include "ingrain/dialogue.h"
#include "ingrain/error.h"
#include "ingrain/find_model.h"
#include "ingrain/generate.h"
#include "ingrain/memory.h"
#include "ingrain/memory_file.h"
#include "ingrain/model.h"
#include "ingrain/notepad.h"
#include "ingrain/option_error.h"
#include "ingrain/reader.h"
#include "ingrain/sampling.h"
#include "ingrain/score.h"
#include "ingrain/training.h"
#include "ingrain/writing.h"
