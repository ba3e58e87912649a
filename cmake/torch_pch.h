#pragma once
#include "base_pch.h"

#include "ops/aten.h"
