/**
 * The options of `compose()`.
 *
 * @module
 */

/**
 * An address: text in the form of a header (`"me@example.com"`, `"Jane Doe <jane@example.com>"`, several with commas, a
 * group), or a name and a bare address.
 */
export type MailAddress = string | {
  /** The name to show. Default: no name. */
  readonly name?: string;
  /** The address, `local-part@domain` and nothing else. */
  readonly address: string;
};

/** One address or several. */
export type MailAddresses = MailAddress | readonly MailAddress[];

/** A content in memory or on disk, which can be read any number of times. */
export type StoredContent = string | Uint8Array | ArrayBuffer | Blob;

/** A content in pieces, which can be read once. Text becomes UTF-8. */
export type ContentStream = ReadableStream<Uint8Array | string> | AsyncIterable<Uint8Array | string>;

/**
 * A content: text or bytes, a `Blob` or `File`, a stream, or a function that opens a stream each time the content is read.
 * Never the name of a file or a URL: otherwise whoever writes the mail could choose what is read (CWE-73, CWE-918).
 */
export type MailContent = StoredContent | ContentStream | (() => ContentStream | Promise<ContentStream>);

/** A part of a mail. */
export interface MailPart {
  /** The content. */
  readonly content: MailContent;
  /** The media type. Default: the type of the `Blob`, else the one for the file name, else `application/octet-stream`. */
  readonly contentType?: string;
  /** More header fields of this part. */
  readonly headers?: MailHeaders;
}

/** An attachment. */
export interface Attachment extends MailPart {
  /** The file name to show. Default: the name of the `File`, else `attachment-1.bin` and so on. */
  readonly filename?: string;
  /** How mail programs show it. Default: `"inline"` for messages and for images with a `cid`, else `"attachment"`. */
  readonly contentDisposition?: "attachment" | "inline";
  /** The identifier that the HTML refers to: `cid: "logo"` for `<img src="cid:logo">`. */
  readonly cid?: string;
}

/** Header fields by their names. A list makes one field of each of its values. */
export type MailHeaders = Readonly<Record<string, string | readonly string[]>>;

/** The description of a mailing list (RFC 2369, RFC 2919, RFC 8058). URLs are absolute: `https:`, `mailto:`. */
export interface MailList {
  /** Where to unsubscribe: one URL or several. */
  readonly unsubscribe?: string | readonly string[];
  /**
   * Whether one click unsubscribes, as large receivers require. One of the `unsubscribe` URLs must be `https:` then. Default:
   * `false`.
   */
  readonly oneClick?: boolean;
  /** Where to subscribe. */
  readonly subscribe?: string | readonly string[];
  /** Where to get help. */
  readonly help?: string | readonly string[];
  /** Where to post to the list. */
  readonly post?: string | readonly string[];
  /** How to reach the people who run the list. */
  readonly owner?: string | readonly string[];
  /** Where old mails of the list can be read. */
  readonly archive?: string | readonly string[];
  /** The list's identifier, such as `"news.example.com"`. */
  readonly id?: string;
}

/** A mail to compose. */
export interface Mail {
  /** The author or authors. */
  readonly from: MailAddresses;
  /** Who sends the mail for the authors. */
  readonly sender?: MailAddress;
  /** The recipients. */
  readonly to?: MailAddresses;
  /** Recipients of a copy. */
  readonly cc?: MailAddresses;
  /** Recipients of a blind copy: in the envelope, not in the header. */
  readonly bcc?: MailAddresses;
  /** Where answers go. */
  readonly replyTo?: MailAddresses;
  /** The subject. */
  readonly subject?: string;
  /** The text. */
  readonly text?: string;
  /** The text in HTML. */
  readonly html?: string;
  /** The text in other forms, such as an invitation of `text/calendar; method=REQUEST`. */
  readonly alternatives?: readonly MailPart[];
  /** The attachments. A `File` brings its name and type. */
  readonly attachments?: readonly (Attachment | File)[];
  /** More header fields. Fields that have an option of their own are refused here. */
  readonly headers?: MailHeaders;
  /** The date. Default: now. */
  readonly date?: Date;
  /** The identifier, `local@domain`, with or without angle brackets. Default: random, in the domain of `from`. */
  readonly messageId?: string;
  /** The identifier of the mail that this one answers. */
  readonly inReplyTo?: string;
  /** The identifiers of the earlier mails in the thread. */
  readonly references?: string | readonly string[];
  /** How urgent the mail is. Default: `"normal"`, which adds no field. */
  readonly priority?: "high" | "normal" | "low";
  /** The mailing list that sends the mail. */
  readonly list?: MailList;
  /** The encoding of text that is not ASCII or has long lines. Default: whichever is shorter. */
  readonly encoding?: "quoted-printable" | "base64";
  /** The envelope. Default: made from the addresses above. */
  readonly envelope?: {
    /** The address for bounces, without a name; `null` for no bounces. Default: the first address of `from`. */
    readonly from?: string | null;
    /** The recipients: addresses without names. Default: those in `to`, `cc` and `bcc`, each once. */
    readonly to?: string | readonly string[];
  };
}
