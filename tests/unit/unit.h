/*
 * unit/unit.h - what every unit test program includes: cmocka with the headers it needs in front.
 */
#ifndef LODGE_UNIT_UNIT_H
#define LODGE_UNIT_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#endif
