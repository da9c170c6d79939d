import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;

/** A counter a session, kept in this process's memory under the id of a cookie. */
public class Server {
    private static final Map<String, Integer> COUNTS = new ConcurrentHashMap<>();

    public static void main(String[] arguments) throws IOException {
        int port = Integer.parseInt(arguments[0]);
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", port), 128);
        server.createContext("/health", exchange -> answer(exchange, "ok"));
        server.createContext("/count", Server::count);
        server.setExecutor(Executors.newFixedThreadPool(8));
        server.start();
    }

    private static void count(HttpExchange exchange) throws IOException {
        String id = session(exchange);
        if (id == null) {
            id = UUID.randomUUID().toString();
            exchange.getResponseHeaders().add("Set-Cookie", "JSESSIONID=" + id + "; Path=/; HttpOnly");
            COUNTS.put(id, 0);
        }
        boolean write = exchange.getRequestMethod().equals("POST");
        int count = write ? COUNTS.merge(id, 1, Integer::sum) : COUNTS.get(id);
        answer(exchange, "{\"count\": " + count + "}");
    }

    private static String session(HttpExchange exchange) {
        String cookies = String.valueOf(exchange.getRequestHeaders().getFirst("Cookie"));
        for (String cookie : cookies.split("; *")) {
            if (cookie.startsWith("JSESSIONID=") && COUNTS.containsKey(cookie.substring(11))) {
                return cookie.substring(11);
            }
        }
        return null;
    }

    private static void answer(HttpExchange exchange, String text) throws IOException {
        byte[] body = text.getBytes();
        exchange.sendResponseHeaders(200, body.length);
        exchange.getResponseBody().write(body);
        exchange.close();
    }
}
