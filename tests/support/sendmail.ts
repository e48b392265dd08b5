/**
 * Starts Sendmail. It is not installed but unpacked, because Debian lets only one mail server be installed at a time.
 *
 * Port: SMTP in the clear. It delivers nothing: {@linkcode queued} lists what it has accepted. It knows the users `jane` and
 * `joe` at `mx.test` and the list `friends`, and takes up to three recipients at a time and messages of 1,000,000 bytes.
 * @module
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PEERS_FOLDER, type PeerServer, startPeer } from "./peer_server.ts";
import { peerMissing } from "./peers.ts";

const ROOT = `${PEERS_FOLDER}sendmail-bin`;
const SENDMAIL = `${ROOT}/usr/libexec/sendmail/sendmail`;

/** Returns why Sendmail cannot be started here, `undefined` if it can. With `SMTP_PEERS=required` it throws instead. */
export function sendmailMissing(): string | undefined {
  return peerMissing("Sendmail", {
    programs: [SENDMAIL, "setsid", "unshare", "mount", "hostname", "bash"],
    root: true,
  });
}

/** Starts Sendmail and waits until it accepts connections. */
export function startSendmail(): Promise<PeerServer> {
  return startPeer({
    name: "Sendmail",
    ports: 1,
    layOut({ folder, ports }) {
      for (const name of ["queue", "mail"]) mkdirSync(join(folder, name), { mode: 0o700 });
      writeFileSync(join(folder, "aliases"), 'friends: jane@mx.test, "Joe Doe" <joe@mx.test>\n');
      writeFileSync(join(folder, "sendmail.cf"), configuration(folder, ports[0]!));
      writeFileSync(join(folder, "hosts"), "127.0.0.1 mx.test localhost\n");
      writeFileSync(
        join(folder, "nsswitch.conf"),
        "passwd: files\ngroup: files\nhosts: files\naliases: files\n",
      );
      writeFileSync(join(folder, "start.sh"), startScript(folder));
      return {
        command: ["unshare", "--mount", "--uts", "bash", join(folder, "start.sh")],
        mail: join(folder, "mail"),
      };
    },
  });
}

/**
 * What Sendmail has accepted, in order: the lines of its queue files (`qf`, see its README), such as
 * `S<a@example.com>` for the sender, `RPNS:<b@mx.test>` for a recipient, `Z` for ENVID, `!` for BY.
 */
export function queued(peer: PeerServer): string[][] {
  const folder = join(peer.folder, "queue");
  const names = readdirSync(folder).filter((name) => name.startsWith("qf")).sort();
  return names.map((name) => readFileSync(join(folder, name), "latin1").split("\n"));
}

function configuration(folder: string, port: number): string {
  return `V10/Berkeley
Cwmx.test example.org
Djmx.test
Dnmailer-daemon
O DaemonPortOptions=Name=MTA, Family=inet, Addr=127.0.0.1, Port=${port}
O DontProbeInterfaces=True
O QueueDirectory=${folder}/queue
O DeliveryMode=queueonly
O PidFile=${folder}/pid
O AliasFile=${folder}/aliases
O HelpFile=${ROOT}/etc/mail/helpfile
O PrivacyOptions=
O DontBlameSendmail=HelpFileInUnsafeDirPath,MapInUnsafeDirPath
O MaxMessageSize=1000000
O MaxRecipientsPerMessage=3
O DeliverByMin=60
O Timeout.ident=0
O Timeout.queuereturn=5d
O SmtpGreetingMessage=$j
O DefaultUser=nobody
O EightBitMode=pass8
Troot
HReceived: by $j id $i
Scanonify=3
R$* < $* > $*		$2
Sparse=0
R$+ @ nowhere.test	$#error $@ 5.1.2 $: "550 no such host"
R$+ @ $+		$#local $: $1
R$+			$#local $: $1
Mlocal,	P=/bin/true, F=lsDFMA5:/|@qSXmnz8, S=0, R=0, T=DNS/RFC822/X-Unix, A=true
Mprog,	P=/bin/sh, F=lsDFMoqeu9, S=0, R=0, T=X-Unix/X-Unix/X-Unix, A=sh -c $u
`;
}

/** Sendmail asks for its host name and looks that up in the DNS; these answers are for it alone. */
function startScript(folder: string): string {
  return `set -e
hostname mx.test
mount --make-rprivate /
mount --bind "${folder}/hosts" /etc/hosts
mount --bind "${folder}/nsswitch.conf" /etc/nsswitch.conf
mount --bind /dev/null /etc/resolv.conf
"${SENDMAIL}" -C "${folder}/sendmail.cf" -bi
exec "${SENDMAIL}" -C "${folder}/sendmail.cf" -bD
`;
}
