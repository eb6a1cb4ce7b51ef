/**
 * What runs in the guest first: `/init`, in busybox's shell. It starts the agent (src/agent), which runs the host's commands
 * over the virtio port of that name where there is one, else over the second serial line. ttyS0 is the console.
 */

/** The bench and the tests look for this line: it is the very first thing that init does. */
export const firstLineOfInit = "memvisor: init";

/** The virtio console's port that leads to the host. */
const agentPort = "org.memvisor.control.0";

export const agentPath = "usr/lib/memvisor/agent";
export const moduleOrderPath = "usr/lib/memvisor/modules";

export const leaseScriptPath = "usr/lib/memvisor/lease";

/** What udhcpc calls with what the network's DHCP server has said. */
export const leaseScript = `#!/bin/sh
case "$1" in
  deconfig) ip addr flush dev "$interface" ;;
  bound | renew)
    ip addr replace "$ip/$mask" dev "$interface"
    [ "$mtu" ] && ip link set "$interface" mtu "$mtu"
    for each in $router; do ip route replace default via "$each" dev "$interface"; done
    for each in $dns; do echo "nameserver $each"; done >/etc/resolv.conf
    ;;
esac
`;

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

# Directories of the host: memvisor.share=TAG:PATH[:ro]
for word in $(cat /proc/cmdline); do
  case "$word" in memvisor.share=*) ;; *) continue ;; esac
  share=\${word#memvisor.share=}
  options=rw
  case "$share" in *:ro) options=ro share=\${share%:ro} ;; esac
  mkdir -p "\${share#*:}"
  modprobe -q virtiofs
  mount -t virtiofs -o $options "\${share%%:*}" "\${share#*:}" || echo "memvisor: \${share#*:} could not be mounted"
done

# Before any program runs: whoever finds a card finds its address and its name server too.
for card in /sys/class/net/eth*; do
  [ -e "$card" ] || continue
  modprobe -q af_packet
  ip link set "\${card##*/}" up && udhcpc -n -q -f -t 3 -T 1 -i "\${card##*/}" -s /${leaseScriptPath} >/dev/null 2>&1
done

line=/dev/ttyS1
for port in /sys/class/virtio-ports/*; do
  [ -e "$port/name" ] && read -r name <"$port/name" && [ "$name" = ${agentPort} ] && line=/dev/\${port##*/}
done
# Without an agent, as on a machine with one port, the shell still comes.
/${agentPath} $line </dev/null >/dev/null 2>&1 &
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
