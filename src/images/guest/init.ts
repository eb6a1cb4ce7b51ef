/**
 * What runs in the guest: `/init` and the exec agent, in busybox's shell.
 *
 * The ports: ttyS0 is the console. The agent owns the others: ttyS1 carries a command's input and output, ttyS2 its
 * errors, ttyS3 the control lines. The host's side, and the protocol in words, is `control/exec-protocol.ts`.
 */

/** The bench and the tests look for this line: it is the very first thing that init does. */
export const firstLineOfInit = "memvisor: init";

export const agentPath = "usr/lib/memvisor/agent";
export const moduleOrderPath = "usr/lib/memvisor/modules";

export const initScript = `#!/bin/busybox sh
echo "${firstLineOfInit}"
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox --install -s
mkdir -p /dev/pts /dev/shm
mount -t devpts -o gid=5,mode=620 devpts /dev/pts
mount -t tmpfs -o mode=1777 tmp /dev/shm
mount -t tmpfs -o mode=755 run /run
mount -t tmpfs -o mode=1777 tmp /tmp
hostname -F /etc/hostname
ip link set lo up 2>/dev/null

# What asks for power-off tells process 1: busybox sends USR2 for poweroff, USR1 for halt, TERM for reboot.
trap 'sync; poweroff -f' USR1 USR2
trap 'sync; reboot -f' TERM
trap '' INT HUP

mode=shell
rows=
cols=
for word in $(cat /proc/cmdline); do
  case "$word" in
    memvisor.exec=1) mode=exec ;;
    memvisor.rows=*) rows=$(printf %s "$word" | cut -d= -f2) ;;
    memvisor.cols=*) cols=$(printf %s "$word" | cut -d= -f2) ;;
  esac
done

# Virtio drivers only where there is a virtio device, on PCI or described by ACPI.
if grep -qs 0x1af4 /sys/bus/pci/devices/*/vendor || ls -d /sys/bus/acpi/devices/LNRO0005* >/dev/null 2>&1; then
  cd "/lib/modules/$(uname -r)" && while read -r module; do
    insmod "$module" 2>/dev/null
  done </${moduleOrderPath}
fi
cd /root

# Without an agent, as on a machine with one port, the shell still comes.
/bin/busybox sh /${agentPath} </dev/null >/dev/null 2>&1 &
agent=$!

if [ "$mode" = exec ]; then
  wait $agent
else
  [ "$rows" ] && [ "$cols" ] && stty rows "$rows" cols "$cols" </dev/console
  # What a shell runs by "&" has SIGINT ignored, and hands that on to all below it; login sets it to its default.
  setsid cttyhack login -f root </dev/console >/dev/console 2>&1 &
  wait $!
fi
sync
poweroff -f
`;

export const agentScript = String.raw`#!/bin/busybox sh
# Runs the host's commands. Lines out: "ready", "want" (a piece of input), "exit STATUS".
# Lines in: "exec", "size ROWS COLUMNS", "poweroff". A piece is "LENGTH\n" and as many bytes on ttyS1; "0\n" is the end.
cd /root
exec 3<>/dev/ttyS3 4<>/dev/ttyS1 5>/dev/ttyS2 || exit
for port in 1 2 3; do
  stty -F /dev/ttyS$port raw -echo clocal -crtscts 115200 || exit
done
pipes=/run/memvisor
mkdir -p $pipes

# Writes the host's pieces to stdout. Once nobody reads them they are still taken, up to the end:
# so both sides always agree on where in the stream they are.
feed() {
  read_on=yes
  while :; do
    [ "$read_on" ] && echo want >&3
    read -r size <&4 || return
    [ "$size" -gt 0 ] || return
    dd bs="$size" count=1 iflag=fullblock <&4 || read_on=
  done
}

run() {
  command=$(feed)
  rm -f $pipes/*
  mkfifo $pipes/in $pipes/out $pipes/err
  feed >$pipes/in &
  feeder=$!
  cat <$pipes/out >&4 &
  out=$!
  cat <$pipes/err >&5 &
  err=$!
  # In a shell of its own: this one opens a command's pipes itself, and the end of a child interrupts that for good.
  (exec sh -c "$command" <$pipes/in >$pipes/out 2>$pipes/err 3>&- 4>&- 5>&-)
  status=$?
  wait $out $err
  # Setting a terminal's modes waits for its output to leave (TCSADRAIN).
  stty -F /dev/ttyS1 raw -echo
  stty -F /dev/ttyS2 raw -echo
  echo "exit $status" >&3
  wait $feeder
}

echo ready >&3
while read -r verb first second <&3; do
  case "$verb" in
    exec) run; echo ready >&3 ;;
    size) stty -F /dev/ttyS0 rows "$first" cols "$second" ;;
    poweroff) sync; poweroff -f ;;
  esac
done
`;

/** Small files of `/etc`. */
export function guestFiles(image: string): readonly (readonly [path: string, text: string])[] {
  return [
    ["etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n"],
    ["etc/group", "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n"],
    ["etc/hostname", "memvisor\n"],
    ["etc/hosts", "127.0.0.1 localhost memvisor\n::1 localhost\n"],
    ["etc/profile", "export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nexport PS1='\\w # '\n"],
    ["etc/memvisor-image", `${image}\n`],
  ];
}
