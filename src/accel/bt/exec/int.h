/*
 * accel/bt/exec/int.h - the meanings of integer instructions.  Each is an insn_exec; see bt.h for
 * what one may do and must do.  Without further notice: flags that the manual leaves undefined are
 * as current Intel processors leave them.
 */
#ifndef LODGE_ACCEL_BT_EXEC_INT_H
#define LODGE_ACCEL_BT_EXEC_INT_H

#include "accel/bt/insn.h"

/* clang-format off */
#define INT_MEANINGS(X)                                                                            \
	X(add) X(adc) X(sbb) X(and) X(sub) X(or) X(xor) X(cmp) X(test) X(inc) X(dec) X(neg) X(not) \
	X(adcx) X(adox)                                                                            \
	X(mul) X(imul1) X(imul) X(div) X(idiv) X(mulx)                                             \
	X(rol) X(ror) X(rcl) X(rcr) X(shl) X(shr) X(sar) X(shld) X(shrd)                           \
	X(rorx) X(sarx) X(shlx) X(shrx)                                                            \
	X(bt) X(bts) X(btr) X(btc) X(bsf) X(bsr) X(tzcnt) X(lzcnt) X(popcnt) X(crc32)              \
	X(andn) X(bextr) X(blsi) X(blsmsk) X(blsr) X(bzhi) X(pdep) X(pext)                         \
	X(mov) X(lea) X(movzx) X(movsx) X(cbw) X(cwd) X(bswap) X(movbe) X(setcc) X(cmovcc)         \
	X(movnti) X(movdiri) X(movdir64b) X(xlat) X(salc)                                          \
	X(lahf) X(sahf) X(clc) X(stc) X(cmc) X(cld) X(std)                                         \
	X(xchg) X(cmpxchg) X(cmpxchg8b) X(xadd)                                                    \
	X(push) X(pop) X(pusha) X(popa) X(enter) X(leave)                                          \
	X(jmp) X(call) X(ret) X(jcc) X(jcxz) X(loop) X(loope) X(loopne) X(bound) X(ud)             \
	X(movs) X(cmps) X(stos) X(lods) X(scas) X(ins) X(outs) X(in) X(out)                        \
	X(aaa) X(aas) X(aam) X(aad) X(daa) X(das)                                                  \
	X(nop) X(pause) X(mfence) X(clflush) X(rdrand) X(rdseed)
/* clang-format on */

#define X(name) insn_exec exec_##name;
INT_MEANINGS(X)
#undef X

#endif
