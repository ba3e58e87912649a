#pragma once
#include "../cmake/base_pch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
