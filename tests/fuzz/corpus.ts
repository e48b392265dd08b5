/** What real programs say, to begin from. `tests/testdata/transcripts.txt` was recorded with the servers of `tests/interop`. @module */
import { readFileSync } from "node:fs";

const transcripts = readFileSync(new URL("../testdata/transcripts.txt", import.meta.url), "utf8")
  .split("\n\n").map((transcript) => transcript.trimEnd().split("\n").slice(1));

/** The lines of one side, without what says whose they are. */
function said(who: "C" | "S", transcript: readonly string[]): string[] {
  return transcript.filter((line) => line.startsWith(`${who}: `)).map((line) => line.slice(3));
}

/** Replies, each whole, without the last line end. */
export const REPLIES: readonly string[] = [
  ...transcripts.flatMap((transcript) => said("S", transcript).join("\r\n").split(/(?<=^\d{3} .*)\r\n/m)),
  "250",
  "250\tOk",
  "250Ok",
  "550-5.7.1 One\r\n550-5.7.1\r\n550 5.7.1 Three",
  "535-5.7.8 Username and Password not accepted. For more information, go to\r\n535 5.7.8  https://support.google.com/mail/?p=BadCredentials - gsmtp",
  "553 \xb7\xa2\xbc\xfe\xc8\xcb",
  "250-\xc3\xbc\xe2\x82\xac\r\n250 \xf0\x9f\x93\xa7",
  "550 5.2.1 \x1b[31mred\x07",
];

/** What servers say to EHLO, a list of lines each. */
export const GREETINGS: readonly (readonly string[])[] = [
  ...REPLIES.filter((reply) => /^250-/.test(reply)).map((reply) =>
    reply.split("\r\n").map((line) => line.slice(4))
  ),
  [
    "mx.google.com at your service, [192.0.2.1]",
    "SIZE 35882577",
    "8BITMIME",
    "AUTH LOGIN PLAIN XOAUTH2 PLAIN-CLIENTTOKEN OAUTHBEARER XOAUTH",
    "ENHANCEDSTATUSCODES",
    "PIPELINING",
    "CHUNKING",
    "SMTPUTF8",
  ],
  [
    "outlook.office365.com Hello [192.0.2.1]",
    "SIZE 157286400",
    "PIPELINING",
    "DSN",
    "ENHANCEDSTATUSCODES",
    "AUTH LOGIN XOAUTH2",
    "8BITMIME",
    "BINARYMIME",
    "CHUNKING",
    "SMTPUTF8",
  ],
  [
    "newxmesmtplogicsvrszc.qq.com",
    "PIPELINING",
    "SIZE 73400320",
    "AUTH LOGIN PLAIN XOAUTH XOAUTH2",
    "AUTH=LOGIN",
    "MAILCOMPRESS",
    "SMTPUTF8",
    "8BITMIME",
  ],
  [
    "mx.test",
    "LIMITS RCPTMAX=20 MAILMAX=5 RCPTDOMAINMAX=1",
    "DELIVERBY 240",
    "FUTURERELEASE 1036800 2027-12-24T11:00:00Z",
    "MT-PRIORITY MIXER",
    "REQUIRETLS",
    "SIZE",
    "X_FOO bar",
  ],
];

/** Commands, without line ends. */
export const COMMANDS: readonly string[] = [
  ...new Set(transcripts.flatMap((transcript) => said("C", transcript))),
  "HELO client.test",
  "EHLO [IPv6:2001:db8::1]",
  "LHLO client.test",
  "MAIL FROM:<>",
  "MAIL FROM:<ada@client.test> SIZE=100 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=QQ+3D1 AUTH=<>",
  "mail from: <ada@client.test>",
  'MAIL FROM : <"a b"@client.test> AUTH=a+2Bb@client.test',
  "MAIL FROM:ada@client.test SIZE=1",
  "MAIL FROM:<a..b@client.test>",
  'MAIL FROM:<"a>b\\"c"@[IPv6:::1]> SIZE=1',
  "RCPT TO:<Postmaster>",
  "RCPT TO:<@one.test,@[192.0.2.1]:bob@mx.test>",
  "RCPT TO:<bob@mx.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;bob@mx.test",
  "RCPT TO:<j\u00fcrgen@m\u00fcnchen.test>",
  "RCPT TO:bob@mx.test",
  "RCPT TO:<bob.@mx.test>",
  "DATA",
  "BDAT 10",
  "BDAT 86 LAST",
  "bdat 0 last",
  "RSET",
  "HELP MAIL",
  "NOOP anything",
  "ETRN mx.test",
  "AUTH LOGIN",
  "AUTH PLAIN =",
  "AUTH LOGIN dXNlcg==",
  "dXNlcg==",
  "cGFzcw==",
  "*",
  "XCLIENT ADDR=192.0.2.1",
  "GET / HTTP/1.1",
  "",
];

/** Addresses, good ones and others. */
export const ADDRESSES: readonly string[] = [
  "ada@client.test",
  "a.b+c=d/e@mx-1.example.org",
  '"a b"@example.org',
  '"a\\"b\\\\c"@example.org',
  '""@example.org',
  '"a> ORCPT=x"@example.org',
  '"a@b"@example.org',
  "o'neil!#$%&*?^_`{|}~@example.org",
  "bob@[192.0.2.1]",
  "bob@[IPv6:2001:db8::1]",
  "bob@[IPv6:::ffff:192.0.2.1]",
  "bob@[IPv6:1:2:3:4:5:6:7:8]",
  "bob@[x-tag:some>thing]",
  "bob@[x-tag:a@b]",
  "bob@a_b.example",
  "bob@xn--mnchen-3ya.test",
  "bob@m\u00fcnchen.test",
  "j\u00fcrgen@example.org",
  "\u{1f600}@example.org",
  '"\u00e4 \u00f6"@example.org',
  "bob@\u4f8b\u3048.\u30c6\u30b9\u30c8",
  "bob@example\u3002org",
  "bob@\uff11\uff12\uff17.0.0.1",
  "bob@127.0.0.1",
  "a..b@example.org",
  ".a@example.org",
  "Bob <bob@example.org>",
  "<bob@example.org>",
  "bob@example.org, ada@example.org",
  "bob(comment)@example.org",
  "bob@example.org.",
  "bob@-example.org",
  "postmaster",
];

/** Contents of messages. */
export const CONTENTS: readonly string[] = [
  "",
  "Subject: Hi\r\n\r\nHello\r\n",
  "Subject: Hi\n\n.\n..\n",
  "Subject: Hi\r\n\r\n.",
  "Subject: Hi\r\n\r\nHello\r\n.\r\nMAIL FROM:<evil@client.test>\r\nRCPT TO:<victim@mx.test>\r\nDATA\r\nX\r\n.\r\n",
  "Subject: Hi\r\n\r\nHello\n.\nMAIL FROM:<evil@client.test>\n",
  "Subject: Hi\r\n\r\nHello\r.\rMAIL FROM:<evil@client.test>\r",
  "Subject: Hi\r\n\r\nHello\n.\r\nMAIL FROM:<evil@client.test>\r\n",
  "Subject: Hi\r\n\r\nHello\r\n.\nMAIL FROM:<evil@client.test>\r\n",
  "Subject: Hi\r\n\r\nRSET\r\nQUIT\r\n",
  "\r\n\r\n.\r\r\n\n.\r\n",
  "\x00\xff\x80\x0e\x0d\x0a\x8d\x8e",
  "0123456789".repeat(9) + "\r\n",
];
