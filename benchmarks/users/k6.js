// k6: asks again as soon as it is answered; the reply is not looked at.
import http from "k6/http";

export default function () {
  http.get(__ENV.TARGET);
}
