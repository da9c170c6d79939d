import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import jakarta.servlet.http.HttpSession;
import java.io.IOException;
import java.net.InetSocketAddress;
import org.eclipse.jetty.ee10.servlet.ServletContextHandler;

/** A counter in the servlet session, which Jetty keeps in this process's memory. */
public class Server extends HttpServlet {
    public static void main(String[] arguments) throws Exception {
        int port = Integer.parseInt(arguments[0]);
        var context = new ServletContextHandler("/", ServletContextHandler.SESSIONS);
        context.addServlet(Server.class, "/count");
        context.addServlet(Health.class, "/health");
        var server = new org.eclipse.jetty.server.Server(new InetSocketAddress("127.0.0.1", port));
        server.setHandler(context);
        server.start();
        server.join();
    }

    @Override
    protected void doPost(HttpServletRequest request, HttpServletResponse response) throws IOException {
        HttpSession session = request.getSession();
        synchronized (session) {
            session.setAttribute("count", count(session) + 1);
            answer(response, count(session));
        }
    }

    @Override
    protected void doGet(HttpServletRequest request, HttpServletResponse response) throws IOException {
        answer(response, count(request.getSession()));
    }

    private static int count(HttpSession session) {
        Object count = session.getAttribute("count");
        return count == null ? 0 : (int) count;
    }

    private static void answer(HttpServletResponse response, int count) throws IOException {
        response.setContentType("application/json");
        response.getWriter().print("{\"count\": " + count + "}");
    }

    public static class Health extends HttpServlet {
        @Override
        protected void doGet(HttpServletRequest request, HttpServletResponse response) throws IOException {
            response.getWriter().print("ok");
        }
    }
}
