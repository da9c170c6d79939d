// k6: sends requests without pauses, and ignores the responses.
import http from "k6/http";

export default function () {
  http.get(__ENV.TARGET);
}
