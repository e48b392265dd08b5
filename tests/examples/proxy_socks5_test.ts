import { microsocksMissing, startMicrosocks } from "../support/proxies.ts";
import { testProxyExample } from "./proxy_suite.ts";

testProxyExample({
  file: "proxy_socks5.ts",
  scheme: "socks5",
  missing: microsocksMissing(),
  start: startMicrosocks,
  refused: "The SOCKS5 proxy refuses the name and password",
  unreachable: "The SOCKS5 proxy does not connect: connection refused",
});
