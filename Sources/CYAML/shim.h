// libyaml 0.2 for Swift: its header. Nothing else lives here.
#pragma once
#include <yaml.h>
