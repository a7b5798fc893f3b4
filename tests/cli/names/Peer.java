import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;

/** Serves this pod's name on 0.0.0.0:80, or asks the servers named for theirs. */
class Peer {
    public static void main(String[] words) throws IOException {
        if (words[0].equals("serve")) {
            serve();
        }
        for (String name : words) {
            ask(name);
        }
    }

    static void serve() throws IOException {
        try (ServerSocket server = new ServerSocket(80, 50, InetAddress.getByName("0.0.0.0"))) {
            while (true) {
                try (Socket connection = server.accept()) {
                    String name = InetAddress.getLocalHost().getHostName();
                    connection.getOutputStream().write((name + "\n").getBytes());
                } catch (IOException probe) {
                    // It only connects.
                }
            }
        }
    }

    static void ask(String name) throws IOException {
        try (Socket connection = new Socket()) {
            connection.connect(new InetSocketAddress(name, 80), 60_000);
            var reader = new BufferedReader(new InputStreamReader(connection.getInputStream()));
            System.out.println(name + " " + reader.readLine());
        }
    }
}
