// What a user writes in TypeScript. It is checked against the package's declarations, and never run.
import {
  Reply,
  sendMail,
  SmtpChannel,
  SmtpClient,
  type SmtpClientOptions,
  SmtpError,
  type SmtpErrorCode,
  type TraceEvent,
} from "@streams/smtp";
import { plain, type SaslMechanism } from "@streams/smtp/sasl";
import { serve } from "@streams/smtp/server";
import { connect, type Socket } from "@streams/smtp/sockets";
import { DataEncoderStream, readReplies } from "@streams/smtp/streams";

const options: SmtpClientOptions = {
  hostname: "smtp.example.com",
  port: 587,
  auth: { user: "me", pass: "secret" },
  trace: (event: TraceEvent) => console.log(event.type),
};

/** Everything that the README shows. */
export async function send(): Promise<string | undefined> {
  const client: SmtpClient = await SmtpClient.connect(options);
  try {
    const receipt = await client.send({ from: "a@example.com", to: ["b@example.org"] }, "Subject: Hello");
    const rejected: readonly { recipient: string; reply?: Reply | undefined }[] = receipt.rejected;
    return receipt.queueId ?? rejected[0]?.reply?.text;
  } catch (error) {
    if (!(error instanceof SmtpError)) throw error;
    const code: SmtpErrorCode = error.code;
    return error.outcome === "unknown" ? code : undefined;
  } finally {
    await client.quit();
  }
}

/** The other entry points. */
export async function others(readable: ReadableStream<Uint8Array>): Promise<void> {
  const socket: Socket = connect({ hostname: "mx.example.org", port: 25 });
  const channel = await SmtpChannel.open({ socket });
  for await (const reply of channel.replies) console.log(reply.code);
  for await (const reply of readReplies(readable)) console.log(reply.lines);
  const mechanism: SaslMechanism = plain({ user: "tim", pass: "tanstaaf" });
  console.log(mechanism.name, readable.pipeThrough(new DataEncoderStream()));
  const server = serve({ serverName: "mx.example.org" }, {
    rcpt({ address }) {
      if (address === "") throw new Reply(550, "No");
    },
  });
  await server.shutdown();
}

// @ts-expect-error: a port is a number. If this were no error, the declarations would be worth nothing.
void sendMail({ port: "587" }, { from: null, to: "b@example.org" }, "Subject: Hello");
