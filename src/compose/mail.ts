/**
 * What a mail is made of.
 *
 * @module
 */

/**
 * An address of the header: text as a header has it (`"me@example.com"`, `"Jane Doe <jane@example.com>"`, several with commas,
 * a group), or a name and a bare address.
 */
export type MailAddress = string | {
  /** The name to show. Default: none. */
  readonly name?: string;
  /** The address, `local-part@domain` and nothing else. */
  readonly address: string;
};

/** Addresses of the header. */
export type MailAddresses = MailAddress | readonly MailAddress[];

/** A content that can be read as often as it has to be. */
export type StoredContent = string | Uint8Array | ArrayBuffer | Blob;

/** A content that comes in pieces and can be read once. Text is UTF-8. */
export type ContentStream = ReadableStream<Uint8Array | string> | AsyncIterable<Uint8Array | string>;

/**
 * A content: what is in memory, a `Blob` or `File`, a stream, or a function that opens one each time it is to be read. Never
 * the name of a file or a URL: who writes the mail would choose what is read (CWE-73, CWE-918).
 */
export type MailContent = StoredContent | ContentStream | (() => ContentStream | Promise<ContentStream>);

/** A part with a content of its own. */
export interface MailPart {
  /** What it holds. */
  readonly content: MailContent;
  /** Its media type. Default: that of the `Blob`; else as the file name says, `application/octet-stream`. */
  readonly contentType?: string;
  /** More fields of its header. */
  readonly headers?: MailHeaders;
}

/** Something attached. */
export interface Attachment extends MailPart {
  /** The name of the file, as a reader shows it. Default: that of the `File`; else `attachment-1.bin` and so on. */
  readonly filename?: string;
  /** How it is shown. Default: `"inline"` for messages and for images with a `cid`, else `"attachment"`. */
  readonly contentDisposition?: "attachment" | "inline";
  /** The identifier by which the HTML names it: `cid: "logo"` for `<img src="cid:logo">`. */
  readonly cid?: string;
}

/** Fields of a header by their names. A list makes a field of each. */
export type MailHeaders = Readonly<Record<string, string | readonly string[]>>;

/** What a mailing list says of itself (RFC 2369, RFC 2919, RFC 8058). URLs are absolute: `https:`, `mailto:`. */
export interface MailList {
  /** How to unsubscribe: one URL or several. */
  readonly unsubscribe?: string | readonly string[];
  /** Whether one click on it is enough, as large receivers want it: then one URL is `https:`. Default: `false`. */
  readonly oneClick?: boolean;
  /** How to subscribe. */
  readonly subscribe?: string | readonly string[];
  /** Where to get help. */
  readonly help?: string | readonly string[];
  /** Where to write to. */
  readonly post?: string | readonly string[];
  /** How to get at those who run it. */
  readonly owner?: string | readonly string[];
  /** Where its mails are kept. */
  readonly archive?: string | readonly string[];
  /** Its identifier, such as `"news.example.com"`. */
  readonly id?: string;
}

/** A mail to compose. */
export interface Mail {
  /** Who it is from. */
  readonly from: MailAddresses;
  /** Who sends it for them. */
  readonly sender?: MailAddress;
  /** Who it is to. */
  readonly to?: MailAddresses;
  /** Who gets a copy. */
  readonly cc?: MailAddresses;
  /** Who gets a copy that the others do not hear of: in the envelope, not in the header. */
  readonly bcc?: MailAddresses;
  /** Who answers go to. */
  readonly replyTo?: MailAddresses;
  /** The subject. */
  readonly subject?: string;
  /** The text. */
  readonly text?: string;
  /** The same in HTML. */
  readonly html?: string;
  /** More forms of the same, such as an invitation of `text/calendar; method=REQUEST`. */
  readonly alternatives?: readonly MailPart[];
  /** What is attached. A `File` brings its name and type. */
  readonly attachments?: readonly (Attachment | File)[];
  /** More fields of the header. Those that have an option of their own are not to be set here. */
  readonly headers?: MailHeaders;
  /** The date. Default: now. */
  readonly date?: Date;
  /** The identifier, `local@domain`, with or without angle brackets. Default: a random one in the domain of `from`. */
  readonly messageId?: string;
  /** The identifier of the mail that this one answers. */
  readonly inReplyTo?: string;
  /** The identifiers of the mails that came before it. */
  readonly references?: string | readonly string[];
  /** How urgent it is. Default: `"normal"`, which is not said. */
  readonly priority?: "high" | "normal" | "low";
  /** What a mailing list says of itself. */
  readonly list?: MailList;
  /** How text beyond short lines of ASCII is encoded. Default: what comes out shorter. */
  readonly encoding?: "quoted-printable" | "base64";
  /** What the server is told instead of the addresses above. */
  readonly envelope?: {
    /** Where bounces go: a bare address, `null` for nowhere. Default: the first address of `from`. */
    readonly from?: string | null;
    /** Who gets it: bare addresses. Default: those of `to`, `cc` and `bcc`, each once. */
    readonly to?: string | readonly string[];
  };
}
