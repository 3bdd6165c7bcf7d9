#include "connx_checker.h"
