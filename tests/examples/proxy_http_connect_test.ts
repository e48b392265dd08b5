import { startTinyproxy, tinyproxyMissing } from "../support/proxies.ts";
import { testProxyExample } from "./proxy_suite.ts";

testProxyExample({
  file: "proxy_http_connect.ts",
  scheme: "http",
  missing: tinyproxyMissing(),
  start: startTinyproxy,
  refused: "The proxy does not connect: HTTP/1.0 401",
  unreachable: "The proxy does not connect: HTTP/1.1 500",
});
