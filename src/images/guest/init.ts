/**
 * What runs in the guest first, in busybox's shell: `/init` in the initramfs, and `main` behind it, either there or on a root
 * disk. `main` starts the agent (src/agent), which runs the host's commands over the virtio port of that name where there is
 * one, else over the second serial line. ttyS0 is the console.
 *
 * Words of the kernel's command line: memvisor.root=DEVICE (the disk that becomes `/`; else the initramfs stays), memvisor.exec=1
 * (no shell on the console), memvisor.rows and memvisor.cols (the console's size).
 */

/** The bench and the tests look for this line: it is the very first thing that init does. */
export const firstLineOfInit = "memvisor: init";

/** The virtio console's port that leads to the host. */
const agentPort = "org.memvisor.control.0";

export const toolsFolder = "usr/lib/memvisor";
export const agentPath = `${toolsFolder}/agent`;
export const mainPath = `${toolsFolder}/main`;
export const consolePath = `${toolsFolder}/console`;
export const moduleOrderPath = `${toolsFolder}/modules`;

export const leaseScriptPath = `${toolsFolder}/lease`;

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

const searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export const initScript = `#!/bin/busybox sh
echo "${firstLineOfInit}"
export PATH=${searchPath} HOME=/root
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox --install -s
mkdir -p /dev/pts /dev/shm
mount -t devpts -o gid=5,mode=620 devpts /dev/pts
mount -t tmpfs -o mode=1777 tmp /dev/shm
mount -t tmpfs -o mode=755 run /run
hostname -F /etc/hostname
ip link set lo up 2>/dev/null

root=
read -r line </proc/cmdline
for word in $line; do
  case "$word" in
    memvisor.root=*) root=\${word#*=} ;;
  esac
done

# Virtio drivers only where there is a virtio device, on PCI or described by ACPI.
if grep -qs 0x1af4 /sys/bus/pci/devices/*/vendor || ls -d /sys/bus/acpi/devices/LNRO0005* >/dev/null 2>&1; then
  cd "/lib/modules/$(uname -r)" && while read -r module; do
    insmod "$module" 2>/dev/null
  done </${moduleOrderPath}
  # Persistent memory: /dev/pmem0 and so on.
  ls -d /sys/bus/nd/devices/region* >/dev/null 2>&1 && modprobe nd_pmem
fi

# Where the root of all that comes is, seen from here.
at=
if [ "$root" ]; then
  modprobe ext4
  mkdir /newroot
  if mount -t ext4 "/dev/$root" /newroot; then
    at=/newroot
  else
    echo "memvisor: there is no root disk /dev/$root: going on without"
  fi
fi
[ -d $at/tmp ] || mkdir -m 1777 $at/tmp
[ "$at" ] || mount -t tmpfs -o mode=1777 tmp /tmp

# Directories of the host: memvisor.share=TAG:PATH[:ro]
for word in $line; do
  case "$word" in memvisor.share=*) ;; *) continue ;; esac
  share=\${word#memvisor.share=}
  options=rw
  case "$share" in *:ro) options=ro share=\${share%:ro} ;; esac
  mkdir -p "$at\${share#*:}"
  modprobe -q virtiofs
  mount -t virtiofs -o $options "\${share%%:*}" "$at\${share#*:}" || echo "memvisor: \${share#*:} could not be mounted"
done

# Before any program runs: whoever finds a card finds its address and its name server too.
for card in /sys/class/net/eth*; do
  [ -e "$card" ] || continue
  modprobe -q af_packet
  ip link set "\${card##*/}" up && udhcpc -n -q -f -t 3 -T 1 -i "\${card##*/}" -s /${leaseScriptPath} >/dev/null 2>&1
done

# What runs from here on is in a folder of its own: a root may have no shell.
mkdir -p /run/memvisor
if [ "$at" ]; then
  cp /bin/busybox /${agentPath} /${mainPath} /${consolePath} /run/memvisor
  for each in dev proc sys run; do
    [ -d "$at/$each" ] || mkdir -p "$at/$each"
    mount --move "/$each" "$at/$each"
  done
  [ -s /etc/resolv.conf ] && cp /etc/resolv.conf $at/etc/resolv.conf
  modules=lib/modules/$(uname -r)
  [ -e "$at/$modules" ] || { mkdir -p "$at/lib/modules" && cp -r "/$modules" "$at/lib/modules/"; }
  exec switch_root $at /run/memvisor/busybox sh /run/memvisor/main
fi
ln -s /bin/busybox /${agentPath} /${mainPath} /${consolePath} /run/memvisor
exec /bin/busybox sh /run/memvisor/main
`;

export const mainScript = `# Process 1, once the root is there. Of what is beside this file only busybox, the agent and the console's script are needed.
tools=\${0%/*}
busybox=$tools/busybox
export PATH=${searchPath} HOME=/root

# What asks for power-off tells process 1: busybox sends USR2 for poweroff, USR1 for halt, TERM for reboot.
end() {
  $busybox mount -o remount,ro / 2>/dev/null
  $busybox sync
  $busybox "$1" -f
}
trap 'end poweroff' USR1 USR2
trap 'end reboot' TERM

mode=shell
rows=
cols=
read -r line </proc/cmdline
for word in $line; do
  case "$word" in
    memvisor.exec=1) mode=exec ;;
    memvisor.rows=*) rows=\${word#*=} ;;
    memvisor.cols=*) cols=\${word#*=} ;;
  esac
done
[ -d /root ] && cd /root || cd /

line=/dev/ttyS1
for port in /sys/class/virtio-ports/*; do
  [ -e "$port/name" ] && read -r name <"$port/name" && [ "$name" = ${agentPort} ] && line=/dev/\${port##*/}
done
# Without an agent, as on a machine with one port, the shell still comes.
$tools/agent $line </dev/null >/dev/null 2>&1 &
agent=$!

if [ "$mode" = exec ]; then
  wait $agent
else
  [ "$rows" ] && [ "$cols" ] && $busybox stty rows "$rows" cols "$cols" </dev/console
  # What a shell runs by "&" has SIGINT ignored, and hands that on to all below it: the agent sets it to its default.
  $busybox setsid $busybox cttyhack $tools/agent "!$tools/console" </dev/console >/dev/console 2>&1 &
  wait $!
fi
end poweroff
`;

/** The console's shell: the root's own, else busybox's. */
export const consoleScript = `#!/run/memvisor/busybox sh
export PATH=${searchPath} HOME=/root TERM=linux USER=root LOGNAME=root
cd /root 2>/dev/null || cd /
for shell in /bin/bash /bin/sh; do
  [ -x $shell ] && exec $shell -l
done
exec /run/memvisor/busybox sh -l
`;

/** Small files of `/etc`. */
export function guestFiles(image: string): readonly (readonly [path: string, text: string])[] {
  return [
    ["etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n"],
    ["etc/group", "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n"],
    ["etc/hostname", "memvisor\n"],
    ["etc/hosts", "127.0.0.1 localhost memvisor\n::1 localhost\n"],
    ["etc/profile", `export PATH=${searchPath}\nexport PS1='\\w # '\n`],
    ["etc/memvisor-image", `${image}\n`],
  ];
}
