# The guest that virtualization.py boots to try KVM: 64-bit mode, paging, work, timer interrupts, and out.
    .code16
    .globl _start
_start:
    cli
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movw $0x7c00, %sp
    movw $0x1000, %di            # page tables: one 2 MiB page, mapped to itself
    movw $0x2000, %cx
    cld
    rep stosw
    movw $0x2003, 0x1000
    movw $0x3003, 0x2000
    movw $0x0083, 0x3000
    movl $0x1000, %eax
    movl %eax, %cr3
    movl $0x620, %eax            # PAE, and SSE as every kernel switches on
    movl %eax, %cr4
    movl $0xc0000080, %ecx       # EFER: long mode
    rdmsr
    orw $0x100, %ax
    wrmsr
    lgdtl gdtr
    movl $0x80000001, %eax       # paging and protection together: 64 bits from the next jump on
    movl %eax, %cr0
    ljmp $8, $long
    .code64
long:
    movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl $100000000, %ecx        # a moment's work for a CPU, minutes for an interpreter
1:  decl %ecx
    jnz 1b
    movl $0x5200, %edi           # interrupt 0x20 (the timer) -> tick
    movw $tick, (%rdi)
    movw $8, 2(%rdi)
    movw $0x8e00, 4(%rdi)
    lidt idtr
    movb $0x11, %al              # interrupt controller: from 0x20 on, timer only
    outb %al, $0x20
    movb $0x20, %al
    outb %al, $0x21
    movb $4, %al
    outb %al, $0x21
    movb $1, %al
    outb %al, $0x21
    movb $0xfe, %al
    outb %al, $0x21
    movb $0x34, %al              # timer: 1000 times a second
    outb %al, $0x43
    movb $0xa9, %al
    outb %al, $0x40
    movb $0x04, %al
    outb %al, $0x40
    movl $20, %ebx
    sti
2:  hlt
    testl %ebx, %ebx
    jnz 2b
    movb $0x2a, %al              # isa-debug-exit: QEMU ends with 2*42+1
    outb %al, $0xf4
3:  hlt
    jmp 3b
tick:
    decl %ebx
    movb $0x20, %al
    outb %al, $0x20
    iretq
    .balign 8
gdt:.quad 0, 0x00209a0000000000, 0x0000920000000000
gdtr: .word 23
    .long gdt
idtr: .word 0x20f
    .quad 0x5000
    .org 510
    .word 0xaa55
