// Spark's own submission, many times in one JVM: what `bin/spark-submit` starts, without a JVM for each. A request is a line with the
// number of words, and each word on a line in Base64; the answer is a line: `done`, or `failed` and why in Base64.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.util.Base64;

public class Submitter {
    public static void main(String[] none) throws Exception {
        PrintStream answers = System.out;
        // What Spark says belongs to its log.
        System.setOut(System.err);
        BufferedReader requests = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = requests.readLine(); line != null; line = requests.readLine()) {
            String[] words = new String[Integer.parseInt(line)];
            for (int word = 0; word < words.length; word++) {
                words[word] = new String(Base64.getDecoder().decode(requests.readLine()), StandardCharsets.UTF_8);
            }
            String answer = "done";
            try {
                new org.apache.spark.deploy.SparkSubmit().doSubmit(words);
            } catch (Throwable failure) {
                StringWriter text = new StringWriter();
                failure.printStackTrace(new PrintWriter(text));
                answer = "failed " + Base64.getEncoder().encodeToString(text.toString().getBytes(StandardCharsets.UTF_8));
            }
            answers.println(answer);
            answers.flush();
        }
    }
}
